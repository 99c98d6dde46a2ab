"""The decode loop: text tokens in, image tokens out, one step of every picture at a time.

Plain PyTorch over the weights of the min_dalle package's own modules. It knows no prompts, no
pixels and no threads. Against the package's loop: keys and values of the text are computed once,
those of the picture are kept in a cache that is read only as far as it is filled, the text's
padding is cut off, guidance is mixed before the language head (linear, so the same and half the
work), and the largest logits are found without sorting all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from dalle_app.engines.dalle_mini.noise import gumbel
from dalle_app.engines.dalle_mini.package import DalleBartDecoder, DalleBartEncoder

PAD = 1

Noise = Callable[[Tensor, Tensor, int, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Row:
    """One picture to decode. Rows of different prompts and settings may share a batch.

    Attributes:
        text: the prompt's tokens from `<s>` to `</s>`, no padding.
        unguided: tokens of the text that guidance leads away from: the empty or negative prompt.
        seed, index: what the noise is a function of.
        temperature: divides the logits; positive.
        top_k: how many of the likeliest codes may be drawn, at least 1.
        guidance: 0 follows `unguided`, 1 `text`, more exaggerates the difference.
    """

    text: tuple[int, ...]
    unguided: tuple[int, ...]
    seed: int
    index: int
    temperature: float
    top_k: int
    guidance: float


def decode(
    encoder: DalleBartEncoder,
    decoder: DalleBartDecoder,
    rows: Sequence[Row],
    *,
    codes: int,
    steps: int,
    start_token: int,
    noise: Noise = gumbel,
) -> Iterator[Tensor]:
    """Draw image tokens for every row, a step at a time. Close it to stop.

    Args:
        codes: only codes 0 … codes−1 are drawn, though the head may know more.
        steps: tokens in a picture; step i draws token i in raster order.
        start_token: what the decoder reads before the first token.
        noise: see `noise.gumbel`; tests supply their own.

    Yields:
        int64 [rows, i + 1] after step i: the tokens so far. The same storage each time.
    """
    sampler = Sampler(rows, codes, decoder.lm_head.weight.device, noise)
    state = DecoderState(encoder, decoder, rows, codes, steps)
    tokens = torch.empty((len(rows), steps), dtype=torch.long, device=sampler.device)
    previous = torch.full((len(rows),), start_token, dtype=torch.long, device=sampler.device)
    for step in range(steps):
        previous = sampler.draw(state.advance(previous, step), step)
        tokens[:, step] = previous
        yield tokens[:, : step + 1]


class DecoderState:
    """What the decoder remembers of a batch of n rows between steps.

    Inside, the batch is 2n long: n unguided texts, then n prompts. `text_keys`, `text_values` hold
    [2n, heads, text, width / heads] a layer; `keys`, `values` [2n, heads, steps, width / heads] a
    layer, filled up to the present step.
    """

    @torch.inference_mode()
    def __init__(
        self,
        encoder: DalleBartEncoder,
        decoder: DalleBartDecoder,
        rows: Sequence[Row],
        codes: int,
        steps: int,
    ) -> None:
        self.decoder = decoder
        self.head = decoder.lm_head.weight[:codes]
        self.heads = decoder.layers[0].self_attn.head_count
        like = decoder.lm_head.weight
        self.guidance = torch.tensor([[row.guidance] for row in rows]).to(like)

        texts = [row.unguided for row in rows] + [row.text for row in rows]
        distinct = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        longest = max(map(len, distinct))
        padded = torch.full((len(distinct), encoder.embed_positions.num_embeddings), PAD)
        for text, i in distinct.items():
            padded[i, : len(text)] = torch.tensor(text)
        padded = padded.to(like.device)
        encoded = encoder(padded)[:, :longest]
        places = torch.tensor([distinct[text] for text in texts], device=like.device)
        # True where a text has a token; [2n, 1, 1, text], the same for all heads.
        self.mask = padded[:, :longest].not_equal(PAD)[places, None, None, :]

        self.text_keys: list[Tensor] = []
        self.text_values: list[Tensor] = []
        for layer in decoder.layers:
            attention = layer.encoder_attn
            self.text_keys.append(self._heads_apart(attention.k_proj(encoded))[places])
            self.text_values.append(self._heads_apart(attention.v_proj(encoded))[places])

        width = decoder.embed_count // self.heads
        shape = (len(decoder.layers), len(texts), self.heads, steps, width)
        self.keys, self.values = like.new_empty(shape), like.new_empty(shape)

    @torch.inference_mode()
    def advance(self, previous: Tensor, step: int) -> Tensor:
        """Read the tokens drawn last, [n], and return the guided logits [n, codes]."""
        decoder = self.decoder
        x = decoder.embed_tokens(previous) + decoder.embed_positions.weight[step]
        x = decoder.layernorm_embedding(x).repeat(2, 1).unsqueeze(1)  # [2n, 1, width]
        for number, layer in enumerate(decoder.layers):
            attention = layer.self_attn
            y = layer.pre_self_attn_layer_norm(x)
            keys, values = self.keys[number], self.values[number]
            keys[:, :, step : step + 1] = self._heads_apart(attention.k_proj(y))
            values[:, :, step : step + 1] = self._heads_apart(attention.v_proj(y))
            y = self._attend(attention, y, keys[:, :, : step + 1], values[:, :, : step + 1])
            x = x + layer.self_attn_layer_norm(y)

            attention = layer.encoder_attn
            y = layer.pre_encoder_attn_layer_norm(x)
            text_keys, text_values = self.text_keys[number], self.text_values[number]
            y = self._attend(attention, y, text_keys, text_values, self.mask)
            x = x + layer.encoder_attn_layer_norm(y)

            x = x + layer.glu(x)
        unguided, prompted = decoder.final_ln(x).squeeze(1).chunk(2)
        return functional.linear(unguided + self.guidance * (prompted - unguided), self.head)

    def _attend(
        self,
        attention: Any,
        y: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        """One query a row, by one of the package's attention modules: [2n, 1, width] -> alike."""
        queries = self._heads_apart(attention.q_proj(y))
        seen = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        out: Tensor = attention.out_proj(seen.transpose(1, 2).flatten(2))
        return out

    def _heads_apart(self, x: Tensor) -> Tensor:
        """[batch, length, width] -> [batch, heads, length, width / heads]."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class Sampler:
    """Draws one code a row: the largest of logit / temperature + noise over the row's top k."""

    def __init__(
        self, rows: Sequence[Row], codes: int, device: torch.device, noise: Noise = gumbel
    ) -> None:
        self.device, self.noise = device, noise

        def column(name: str, dtype: torch.dtype) -> Tensor:
            return torch.tensor([[getattr(row, name)] for row in rows], dtype=dtype, device=device)

        self.seed, self.index = column("seed", torch.long), column("index", torch.long)
        self.temperature = column("temperature", torch.float32)
        self.kept = min(max(row.top_k for row in rows), codes)
        # Where rows differ in top-k, the surplus of those with the smaller is barred; [n, kept].
        self.barred = torch.arange(self.kept, device=device) >= column("top_k", torch.long)

    def draw(self, logits: Tensor, step: int) -> Tensor:
        """Logits [n, codes] -> one code a row, int64 [n]."""
        values, tokens = logits.float().topk(self.kept)
        values = values / self.temperature + self.noise(self.seed, self.index, step, tokens)
        values = values.masked_fill(self.barred, -torch.inf)
        return tokens.gather(1, values.argmax(1, keepdim=True)).squeeze(1)
