"""From image tokens to pictures, whole or as far as they are drawn.

Knows the two detokenizers of the family and hides what differs between them; knows no transformer.
"""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor, nn

from dalle_app.engines.dalle_mini.checkpoint import Checkpoint
from dalle_app.engines.dalle_mini.detokenizer import PocketDetokenizer
from dalle_app.engines.dalle_mini.package import VQGanDetokenizer
from dalle_app.errors import CheckpointError
from dalle_app.grid import PAPER

SHOWN = 256  # pixels along a side of every picture that leaves the engine


def build_detokenizer(checkpoint: Checkpoint) -> nn.Module:
    """The checkpoint's detokenizer, without weights.

    Raises:
        CheckpointError: the checkpoint names a kind that we do not have.
    """
    sizes = dict(checkpoint.detokenizer)
    kind = sizes.pop("kind", None)
    if kind == "vqgan":
        vqgan: nn.Module = VQGanDetokenizer()
        return vqgan
    if kind == "pocket":
        image = checkpoint.image
        return PocketDetokenizer(**{"codes": image.codes, "grid": image.grid, **sizes})
    raise CheckpointError(
        f"{checkpoint.name} wants a detokenizer of kind {kind!r}, which this version does not have."
    )


class Painter:
    """Paints batches of pictures with one detokenizer.

    Args:
        detokenizer: in float32.
        grid: tokens along a picture's side.
    """

    def __init__(self, detokenizer: nn.Module, grid: int) -> None:
        self.detokenizer, self.grid = detokenizer, grid
        on_cpu = next(detokenizer.parameters()).device.type == "cpu"
        # Three times as fast where the CPU has it, and slower where torch must imitate it.
        self._bfloat16 = on_cpu and bool(torch.cpu.get_capabilities().get("avx512_bf16"))

    @torch.inference_mode()
    def paint(self, tokens: Tensor, *, roughly: bool = False) -> list[Image.Image]:
        """Pictures of what is drawn so far; the rest is blank paper.

        Args:
            tokens: int64 [n, drawn], 1 ≤ drawn ≤ grid², raster order.
            roughly: for previews: in bfloat16 where that is faster, colours off by a hair.

        Returns:
            n pictures, RGB, 256×256.
        """
        drawn = tokens.shape[1]
        # The network wants whole grids; what is not drawn repeats the last token, then is covered.
        rest = tokens[:, -1:].expand(-1, self.grid**2 - drawn)
        with torch.autocast("cpu", torch.bfloat16, enabled=roughly and self._bfloat16):
            pixels = self._pixels(torch.cat([tokens, rest], 1))
        covered = torch.arange(self.grid**2, device=tokens.device) >= drawn
        side = pixels.shape[1] // self.grid
        covered = covered.view(self.grid, self.grid)
        covered = covered.repeat_interleave(side, 0).repeat_interleave(side, 1)
        pixels[:, covered] = torch.tensor(PAPER, dtype=torch.uint8, device=pixels.device)
        pictures = [Image.fromarray(picture) for picture in pixels.cpu().numpy()]
        return [picture.resize((SHOWN, SHOWN), Image.Resampling.BICUBIC) for picture in pictures]

    def _pixels(self, tokens: Tensor) -> Tensor:
        """int64 [n, grid²] -> uint8 [n, pixels, pixels, 3]."""
        if isinstance(self.detokenizer, VQGanDetokenizer):
            # Picture by picture: given several it joins them, column by column, into one.
            floats = torch.stack([self.detokenizer(False, one[None]) for one in tokens])
        else:
            floats = self.detokenizer(tokens).permute(0, 2, 3, 1) * 255
        return floats.float().round().to(torch.uint8)
