"""pocket's transformer as it is trained: the logits of all image tokens at once.

It does not know how it learns (`training.transformer` does) nor what tokens mean. The parameters
live in min_dalle's own encoder and decoder classes; those take one step at a time, so the forward
pass that sees all places is written here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from dalle_app.engines.dalle_mini.package import DalleBartDecoder, DalleBartEncoder
from training.run_folder import RunFolder
from training.tokens import PAD

if TYPE_CHECKING:  # imported as such, the package would turn gradients off
    from min_dalle.models.dalle_bart_decoder import DecoderLayer
    from min_dalle.models.dalle_bart_encoder import GLU, AttentionBase


class Transformer(nn.Module):
    """min_dalle's encoder and decoder at pocket's size, with a parallel teacher-forcing forward."""

    def __init__(self, sizes: dict[str, int]) -> None:
        super().__init__()
        self.sizes = sizes
        self.encoder = DalleBartEncoder(
            layer_count=sizes["encoder_layers"],
            embed_count=sizes["width"],
            attention_head_count=sizes["heads"],
            text_vocab_count=sizes["text_vocab"],
            text_token_count=sizes["text_length"],
            glu_embed_count=sizes["glu_width"],
            device="cpu",
        )
        self.decoder = DalleBartDecoder(
            image_vocab_count=sizes["codes"],
            embed_count=sizes["width"],
            attention_head_count=sizes["heads"],
            glu_embed_count=sizes["glu_width"],
            layer_count=sizes["decoder_layers"],
            device="cpu",
        )

    @property
    def start_token(self) -> int:
        """What the decoder reads before its first token: one past the last code."""
        return self.sizes["codes"]

    def start_afresh(self) -> None:
        """Small embeddings and a quiet output, as transformers like them."""
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features**-0.5 * 0.7)

    def read(self, texts: Tensor) -> Tensor:
        """int64 [n, length], padded -> [n, length, width]."""
        encoder = self.encoder
        x = encoder.embed_tokens(texts) + encoder.embed_positions.weight[: texts.shape[1]]
        x = _narrowed(encoder.layernorm_embedding(x))
        mask = _mask(texts.not_equal(PAD)[:, None, None], x)
        for layer in encoder.layers:
            y = layer.pre_self_attn_layer_norm(x)
            x = x + layer.self_attn_layer_norm(_attend(layer.self_attn, y, y, mask))
            x = x + _glu(layer.glu, x)
        read: Tensor = encoder.final_ln(x)
        return read

    def forward(self, texts: Tensor, inputs: Tensor) -> Tensor:
        """texts int64 [n, length], inputs int64 [n, places] from the start token on.

        -> logits [n, places, codes] of the token at each place, given the inputs up to it.
        """
        decoder, read = self.decoder, self.read(texts)
        places = inputs.shape[1]
        x = decoder.embed_tokens(inputs) + decoder.embed_positions.weight[:places]
        x = _narrowed(decoder.layernorm_embedding(x))
        before = torch.ones(places, places, dtype=torch.bool, device=x.device).tril()
        self_mask = _mask(before, x)
        text_mask = _mask(texts.not_equal(PAD)[:, None, None], x)
        for layer in decoder.layers:
            x = self._decode(layer, x, read, self_mask, text_mask)
        head = decoder.lm_head.weight[: self.sizes["codes"]]
        return functional.linear(decoder.final_ln(x), head)

    @staticmethod
    def _decode(
        layer: DecoderLayer, x: Tensor, read: Tensor, self_mask: Tensor, text_mask: Tensor
    ) -> Tensor:
        y = layer.pre_self_attn_layer_norm(x)
        x = x + layer.self_attn_layer_norm(_attend(layer.self_attn, y, y, self_mask))
        y = layer.pre_encoder_attn_layer_norm(x)
        y = _attend(layer.encoder_attn, y, read, text_mask)
        x = x + layer.encoder_attn_layer_norm(y)
        return x + _glu(layer.glu, x)


def _attend(attention: AttentionBase, asks: Tensor, answers: Tensor, mask: Tensor) -> Tensor:
    def heads(x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], attention.head_count, -1).transpose(1, 2)

    q, k, v = (
        heads(project(x))
        for project, x in (
            (attention.q_proj, asks),
            (attention.k_proj, answers),
            (attention.v_proj, answers),
        )
    )
    weights = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + mask).softmax(-1).to(v.dtype)
    seen: Tensor = attention.out_proj((weights @ v).transpose(1, 2).flatten(2))
    return seen


def _glu(glu: GLU, x: Tensor) -> Tensor:
    x = glu.ln0(x)
    x = functional.gelu(glu.fc0(x)) * glu.fc1(x)
    y: Tensor = glu.fc2(glu.ln1(x))
    return y


def _mask(allowed: Tensor, like: Tensor) -> Tensor:
    """0 where allowed, very low elsewhere: to be added to attention weights."""
    return torch.zeros(allowed.shape, dtype=like.dtype, device=like.device).masked_fill(
        ~allowed, -1e9
    )


def _narrowed(x: Tensor) -> Tensor:
    return x.bfloat16() if torch.is_autocast_enabled(x.device.type) else x


def load_transformer(run: Path) -> Transformer:
    """The averaged transformer of a run, ready to ship."""
    state = RunFolder(run).load()
    if state is None:
        raise SystemExit(f"No checkpoint in {run}. Run python -m training.transformer first.")
    model = Transformer(state["sizes"])
    model.load_state_dict(state["average"])
    return model.eval()
