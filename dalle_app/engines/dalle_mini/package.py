"""The min_dalle package's own network classes, imported without its side effects.

Knows nothing of weights. Importing `min_dalle` turns gradients off in the importing
thread, sets the thread count to the machine's CPUs whatever the container allows, and turns TF32
on for cuDNN; here each is put back as it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from dalle_app.engines.dalle_mini.checkpoint import ImageSizes, TextSizes, TransformerSizes


@contextmanager
def _torch_settings_kept() -> Iterator[None]:
    gradients, threads = torch.is_grad_enabled(), torch.get_num_threads()
    cudnn, tf32 = torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32
    try:
        yield
    finally:
        torch.set_grad_enabled(gradients)
        torch.set_num_threads(threads)
        torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32 = cudnn, tf32


with _torch_settings_kept():
    from min_dalle.models import DalleBartDecoder, DalleBartEncoder, VQGanDetokenizer

__all__ = ["DalleBartDecoder", "DalleBartEncoder", "VQGanDetokenizer", "transformer"]


def transformer(
    text: TextSizes, sizes: TransformerSizes, image: ImageSizes, device: str = "cpu"
) -> tuple[DalleBartEncoder, DalleBartDecoder]:
    """Encoder and decoder at a checkpoint's sizes, their weights as torch makes them.

    Args:
        device: where their index tensors go; parameters are made on torch's default device.
    """
    encoder = DalleBartEncoder(
        layer_count=sizes.encoder_layers,
        embed_count=sizes.width,
        attention_head_count=sizes.heads,
        text_vocab_count=text.vocab,
        text_token_count=text.length,
        glu_embed_count=sizes.glu_width,
        device=device,
    )
    decoder = DalleBartDecoder(
        image_vocab_count=image.vocab or image.codes,
        embed_count=sizes.width,
        attention_head_count=sizes.heads,
        glu_embed_count=sizes.glu_width,
        layer_count=sizes.decoder_layers,
        device=device,
    )
    return encoder, decoder
