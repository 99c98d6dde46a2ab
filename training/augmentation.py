"""Real drawings in many guises, so that the judge knows a thing by its shape, not by its pixels.

Knows nothing of classes. Drawings are premultiplied RGBA, float32 [n, 4, h, w] in 0..1.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

LUMINANCE = (0.30, 0.59, 0.11)


def moved(drawings: Tensor, random: torch.Generator) -> Tensor:
    """The drawings flipped (half of them), scaled to 70–105 %, turned up to 5° and shifted."""
    n = len(drawings)
    scale = 1 / _uniform(0.7, 1.05, n, random)
    angle = _uniform(-0.09, 0.09, n, random)
    flip = _signs(n, random)
    # as far as the drawing stays inside, and a little further
    room = (1 - 1 / scale).clamp(min=0.06)
    shift = torch.stack([_uniform(-1, 1, n, random), _uniform(-1, 1, n, random)], 1) * room[:, None]
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    turn = torch.stack([torch.stack([cos * flip, -sin * flip], 1), torch.stack([sin, cos], 1)], 1)
    offset = -(turn @ shift[:, :, None])
    grid = F.affine_grid(torch.cat([turn, offset], 2), list(drawings.shape), align_corners=False)
    return F.grid_sample(drawings, grid, align_corners=False)


def recoloured(drawings: Tensor, random: torch.Generator) -> Tensor:
    """Most as they are, a tenth with turned hues, a third in shades of one colour or in gray."""
    n = len(drawings)
    rgb, alpha = drawings[:, :3], drawings[:, 3:]
    kind = torch.rand(n, 1, 1, 1, generator=random)
    turned = torch.einsum("nij,njhw->nihw", _hue_turns(n, random), rgb)
    gray = torch.einsum("c,nchw->nhw", torch.tensor(LUMINANCE), rgb)[:, None]
    tint = torch.rand(n, 3, 1, 1, generator=random)
    tint = torch.where(
        torch.rand(n, 1, 1, 1, generator=random) < 0.2, 1.0, tint / tint.amax(1, True)
    )
    painted = torch.where(kind < 0.57, rgb, torch.where(kind < 0.67, turned, gray * tint))
    # premultiplied colours never exceed their alpha
    return torch.cat([torch.minimum(painted.clamp(0, 1), alpha), alpha], 1)


def grounded(drawings: Tensor, random: torch.Generator) -> Tensor:
    """On white (two thirds), a plain colour or, a tenth, a blur of colours: [n, 3, h, w]."""
    n, _, height, width = drawings.shape
    plain = torch.rand(n, 3, 1, 1, generator=random).expand(n, 3, height, width)
    blotches = F.interpolate(
        torch.rand(n, 3, 4, 4, generator=random), size=(height, width), mode="bicubic"
    ).clamp(0, 1)
    kind = torch.rand(n, 1, 1, 1, generator=random)
    ground = torch.where(kind < 0.65, 1.0, torch.where(kind < 0.9, plain, blotches))
    return drawings[:, :3] + ground * (1 - drawings[:, 3:])


def varied(drawings: Tensor, random: torch.Generator) -> Tensor:
    """One variation of each drawing as a classifier sees it: float32 [n, 3, h, w] in −1..1."""
    return grounded(recoloured(moved(drawings, random), random), random) * 2 - 1


def _uniform(low: float, high: float, n: int, random: torch.Generator) -> Tensor:
    return torch.rand(n, generator=random) * (high - low) + low


def _signs(n: int, random: torch.Generator) -> Tensor:
    return torch.randint(0, 2, (n,), generator=random) * 2.0 - 1


def _hue_turns(n: int, random: torch.Generator) -> Tensor:
    """Rotations about the gray axis by any angle, [n, 3, 3]: lightness stays, hue turns."""
    angle = _uniform(0, 2 * math.pi, n, random)[:, None, None]
    cos, sin = torch.cos(angle), torch.sin(angle)
    third, root = 1 / 3, math.sqrt(1 / 3)
    cross = torch.tensor([[0.0, -root, root], [root, 0.0, -root], [-root, root, 0.0]])
    return cos * torch.eye(3) + (1 - cos) * third + sin * cross
