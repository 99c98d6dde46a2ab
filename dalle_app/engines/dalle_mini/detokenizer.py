"""pocket's detokenizer: the small network that paints a picture from a grid of image tokens.

It does not know where tokens come from, nor how it was trained (`training/vqgan.py` does).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside a skip: [n, width, h, w] -> the same shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(width, width, 3, padding=1)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv1(functional.relu(self.conv0(functional.relu(x))))
        return x + y


class GridBlock(nn.Module):
    """A transformer block in which all places of the grid see each other: [n, places, width]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm0 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm1 = nn.LayerNorm(width)
        self.fc0 = nn.Linear(width, 4 * width)
        self.fc1 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, places, width = x.shape
        qkv = self.qkv(self.norm0(x)).view(n, places, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        seen = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1).to(v.dtype) @ v
        x = x + self.out(seen.transpose(1, 2).reshape(n, places, width))
        y: Tensor = self.fc1(functional.gelu(self.fc0(self.norm1(x)), approximate="tanh"))
        return x + y


class PocketDetokenizer(nn.Module):
    """Tokens to pictures: an embedding, blocks over the grid, then stages that each double it.

    codes: size of the codebook; code_width: numbers in one code; grid: places along a side;
    widths: channels at grid, 2·grid, 4·grid, …; blocks: residual blocks at each of these
    (at the grid itself: transformer blocks). The last stage paints 2×2 pixels a place, so
    a picture has 2^len(widths) · grid pixels along a side.
    """

    def __init__(
        self,
        codes: int,
        grid: int,
        code_width: int,
        widths: list[int],
        blocks: list[int],
        heads: int,
    ) -> None:
        super().__init__()
        if len(widths) != len(blocks):
            raise ValueError(f"{len(widths)} widths but {len(blocks)} block counts.")
        self.grid = grid
        self.codebook = nn.Embedding(codes, code_width)
        self.enter = nn.Linear(code_width, widths[0])
        self.places = nn.Parameter(torch.zeros(grid * grid, widths[0]))
        self.mixer = nn.Sequential(*(GridBlock(widths[0], heads) for _ in range(blocks[0])))
        stages: list[nn.Module] = []
        for before, after, count in zip(widths[:-1], widths[1:], blocks[1:], strict=True):
            stages += [nn.Conv2d(before, 4 * after, 1), nn.PixelShuffle(2)]
            stages += [ResidualBlock(after) for _ in range(count)]
        self.stages = nn.Sequential(*stages)
        self.paint = nn.Conv2d(widths[-1], 4 * 3, 3, padding=1)

    def forward(self, tokens: Tensor) -> Tensor:
        """int64 [n, grid²], raster order -> float32 [n, 3, pixels, pixels] in 0..1."""
        return self.picture(self.codebook(tokens)).float().clamp(0, 1)

    def picture(self, codes: Tensor) -> Tensor:
        """Code vectors [n, grid², code_width] -> [n, 3, pixels, pixels], not clamped."""
        x = self.mixer(self.enter(codes) + self.places)
        x = x.transpose(1, 2).unflatten(2, (self.grid, self.grid))
        x = x.contiguous(memory_format=torch.channels_last)
        return functional.pixel_shuffle(self.paint(functional.relu(self.stages(x))), 2) + 0.5
