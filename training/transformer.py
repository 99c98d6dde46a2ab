"""Trains pocket's transformer: from a caption's text tokens to a picture's image tokens.

    python -m training.transformer
    torchrun --nproc-per-node 2 -m training.transformer   # the same batch, shared by two processes

It does not know pixels. The parameters live in min_dalle's own encoder and decoder classes; those
take one step at a time, so the forward pass that sees all places at once is written here.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn import functional
from tqdm import tqdm

from dalle_app.engines.dalle_mini.package import DalleBartDecoder, DalleBartEncoder
from training import DATA, RUNS
from training.optimisation import follow_weights, rate_at
from training.picture_tokenizer import CODES
from training.run_folder import DEVICE, RunFolder, stop_gently
from training.tokenizer import VOCABULARY
from training.tokens import PAD, TEXT_LENGTH, TokenData

if TYPE_CHECKING:  # imported as such, the package would turn gradients off
    from min_dalle.models.dalle_bart_decoder import DecoderLayer
    from min_dalle.models.dalle_bart_encoder import GLU, AttentionBase

SIZES: dict[str, int] = {
    "text_vocab": VOCABULARY,
    "text_length": TEXT_LENGTH,
    "codes": CODES,
    "encoder_layers": 2,
    "decoder_layers": 6,
    "width": 256,
    "heads": 8,
    "glu_width": 384,
}
NOISE = 0.12  # of the input tokens are random, so that sampling recovers from its own mistakes
UNTITLED = 0.10  # of the captions are empty, for guidance
WARM_UP = 300  # steps
MEMORY = 0.999  # of the moving average
SAVE_MINUTES = 4.0


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


class Training:
    """The transformer, its optimizer and the moving average of its weights that ships."""

    PARTS = ("model", "average", "optimizer")  # with a state to be saved

    def __init__(self, sizes: dict[str, int], rate: float) -> None:
        self.rate = rate
        self.model = Transformer(sizes)
        self.model.start_afresh()
        self.model.to(DEVICE)
        self.average = Transformer(sizes).to(DEVICE)
        self.average.load_state_dict(self.model.state_dict())
        matrices = [p for p in self.model.parameters() if p.ndim > 1]
        vectors = [p for p in self.model.parameters() if p.ndim == 1]
        groups = [
            {"params": matrices, "weight_decay": 0.05},
            {"params": vectors, "weight_decay": 0},
        ]
        self.optimizer = torch.optim.AdamW(groups, rate, betas=(0.9, 0.97), fused=True)
        self.step = 0

    def state(self) -> dict[str, Any]:
        """Everything that a later process needs to go on."""
        states = {part: getattr(self, part).state_dict() for part in self.PARTS}
        return states | {"sizes": self.model.sizes, "step": self.step}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        for part in self.PARTS:
            getattr(self, part).load_state_dict(state[part])
        self.step = state["step"]

    def learn(self, texts: Tensor, images: Tensor, progress: float) -> dict[str, Tensor]:
        """One step on texts int64 [n, length] and images int64 [n, places].

        progress runs from 0 to 1 over the training and sets the rate. -> loss and gradient's norm,
        still as tensors, since reading them would wait for the device.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(self.rate, self.step, progress, WARM_UP)
        start = torch.full_like(images[:, :1], self.model.start_token)
        inputs = torch.cat([start, images[:, :-1]], dim=1)
        strays = torch.rand_like(inputs[:, 1:], dtype=torch.float32) < NOISE
        random = torch.randint_like(inputs[:, 1:], self.model.sizes["codes"])
        inputs[:, 1:] = torch.where(strays, random, inputs[:, 1:])
        with torch.autocast(DEVICE, torch.bfloat16):
            logits = self.model(texts, inputs)
        loss = functional.cross_entropy(logits.flatten(0, 1).float(), images.flatten())
        self.optimizer.zero_grad()
        loss.backward()
        if distributed.is_initialized():
            self._share_gradients()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        follow_weights(self.average, self.model, self.step, MEMORY)
        self.step += 1
        return {"loss": loss.detach(), "norm": norm}

    def _share_gradients(self) -> None:
        """Give every process the mean of all gradients; in one piece, since each call costs."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        together = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(together)
        together /= distributed.get_world_size()
        pieces = together.split([gradient.numel() for gradient in gradients])
        for gradient, piece in zip(gradients, pieces, strict=True):
            gradient.copy_(piece.view_as(gradient))


def load_transformer(run: Path) -> Transformer:
    """The averaged transformer of a run, ready to ship."""
    state = RunFolder(run).load()
    if state is None:
        raise SystemExit(f"No checkpoint in {run}. Run python -m training.transformer first.")
    model = Transformer(state["sizes"])
    model.load_state_dict(state["average"])
    return model.eval()


def train(
    data: TokenData, run: RunFolder, sizes: dict[str, int], steps: int, batch: int, rate: float
) -> None:
    """Train, or go on training, until `steps` are done; all processes together take `batch` a step.

    Raises SystemExit where the processes cannot share a batch evenly.
    """
    rank, processes = 0, 1
    if distributed.is_initialized():
        rank, processes = distributed.get_rank(), distributed.get_world_size()
    if batch % processes:
        raise SystemExit(f"{processes} processes cannot share a batch of {batch} evenly.")
    state = run.load()
    training = Training(state["sizes"] if state else sizes, rate)
    if state:
        training.restore(state)
    torch.manual_seed(2 * training.step + rank)  # other noise in every process and after a stop
    random = np.random.default_rng([training.step, rank])
    stream = data.batches(batch // processes, UNTITLED, random)
    bar = tqdm(
        range(training.step, steps),
        initial=training.step,
        total=steps,
        mininterval=5,
        disable=rank > 0,
    )
    try:
        for step in bar:
            texts, images = (torch.from_numpy(part).to(DEVICE) for part in next(stream))
            losses = training.learn(texts, images, step / steps)
            if step % 50 == 0 and rank == 0:
                run.log(step=step, **{name: float(value) for name, value in losses.items()})
                bar.set_postfix(loss=float(losses["loss"]))
            if rank == 0 and run.save_is_due(SAVE_MINUTES):
                run.save(training.state())
    finally:  # also when stopped
        if rank == 0:
            run.save(training.state())


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--run", type=Path, default=RUNS / "transformer")
    parser.add_argument("--steps", type=int, default=6400)
    parser.add_argument("--batch", type=int, default=96, help="pictures a step")
    parser.add_argument("--rate", type=float, default=1.5e-3)
    options = parser.parse_args()
    torch.manual_seed(0)  # the same first weights in every process
    stop_gently()
    if "RANK" in os.environ:  # started by torchrun
        distributed.init_process_group("gloo")
    data = TokenData.load(options.data)
    train(data, RunFolder(options.run), SIZES, options.steps, options.batch, options.rate)


if __name__ == "__main__":
    main()
