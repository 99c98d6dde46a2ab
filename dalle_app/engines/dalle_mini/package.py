"""The min_dalle package's own network classes, imported without its side effects.

Knows nothing of checkpoints or devices. Importing `min_dalle` turns gradients off in the importing
thread, sets the thread count to the machine's CPUs whatever the container allows, and turns TF32
on for cuDNN; here each is put back as it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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

__all__ = ["DalleBartDecoder", "DalleBartEncoder", "VQGanDetokenizer"]
