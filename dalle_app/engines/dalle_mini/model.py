"""A model ready to draw: networks with their weights, the text reader, and what to call it.

Loaded once and then only read. Knows no requests, threads or lines; `scheduler.py` owns it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from dalle_app.engines.dalle_mini.checkpoint import Checkpoint
from dalle_app.engines.dalle_mini.decoder import Row, decode
from dalle_app.engines.dalle_mini.device import Device
from dalle_app.engines.dalle_mini.package import DalleBartDecoder, DalleBartEncoder, transformer
from dalle_app.engines.dalle_mini.painter import Painter, build_detokenizer
from dalle_app.engines.dalle_mini.text import TextReader, reader_of
from dalle_app.engines.dalle_mini.vocabulary import Vocabulary
from dalle_app.engines.dalle_mini.weights import PARTS, fill, fingerprint, read_parts

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model:
    """Everything that a loaded checkpoint can do.

    Attributes:
        fingerprint: 16 hex digits that stand for the weights.
        precision: `float32` or `bfloat16`, of the transformer; the painter always has float32.
    """

    checkpoint: Checkpoint
    device: Device
    precision: str
    fingerprint: str
    reader: TextReader
    encoder: DalleBartEncoder
    decoder: DalleBartDecoder
    painter: Painter

    def decode(self, rows: Sequence[Row]) -> Iterator[Tensor]:
        """Image tokens of a batch, step by step: see `decoder.decode`."""
        image = self.checkpoint.image
        return decode(
            self.encoder,
            self.decoder,
            rows,
            codes=image.codes,
            steps=image.tokens,
            start_token=image.start_token,
        )

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words that the checkpoint has seen."""
        return Vocabulary(self.checkpoint.known, self.checkpoint.words)


def load_model(checkpoint: Checkpoint, device: Device, precision: str) -> Model:
    """Read a checkpoint's files and build its model on a device.

    Args:
        precision: `float32` or `bfloat16`.

    Raises:
        CheckpointError: files are missing, damaged or of another model.
    """
    began = time.perf_counter()
    parts = read_parts(checkpoint)
    mark = fingerprint(checkpoint)
    dtype: torch.dtype = getattr(torch, precision)
    encoder, decoder, detokenizer = _networks(checkpoint, device.kind)
    fill(encoder, parts["encoder"], "encoder", device.kind, dtype)
    fill(decoder, parts["decoder"], "decoder", device.kind, dtype)
    fill(detokenizer, parts["detokenizer"], "detokenizer", device.kind, torch.float32)
    seconds = time.perf_counter() - began
    log.info("%s loaded in %.1f s on %s, %s", checkpoint.name, seconds, device, precision)
    return Model(
        checkpoint=checkpoint,
        device=device,
        precision=precision,
        fingerprint=mark,
        reader=reader_of(checkpoint),
        encoder=encoder,
        decoder=decoder,
        painter=Painter(detokenizer, checkpoint.image.grid),
    )


def check_files(checkpoint: Checkpoint) -> None:
    """Whether a checkpoint's files would load, as far as can be told without reading the weights.

    Quick: it reads the vocabulary, and the names and shapes of the tensors.

    Raises:
        CheckpointError: files are missing, damaged or of another model.
    """
    parts = read_parts(checkpoint)
    reader_of(checkpoint)
    for part, network in zip(PARTS, _networks(checkpoint, "meta"), strict=True):
        fill(network, parts[part], part, "meta", torch.float32)


def _networks(
    checkpoint: Checkpoint, device: str
) -> tuple[DalleBartEncoder, DalleBartDecoder, nn.Module]:
    """Encoder, decoder and detokenizer, which take no memory until their weights come."""
    text, sizes, image = checkpoint.text, checkpoint.transformer, checkpoint.image
    with torch.device("meta"):
        encoder, decoder = transformer(text, sizes, image, device)
        detokenizer = build_detokenizer(checkpoint)
    encoder.pose_tokens = encoder.pose_tokens[:1]  # the package's has room for two texts, no more
    return encoder, decoder, detokenizer
