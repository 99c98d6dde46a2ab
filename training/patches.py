"""A classifier that is learnt in a minute: a dictionary of patches, pooled, and one linear map.

Knows nothing of what the classes mean. After Coates, Lee and Ng (2011), “An analysis of
single-layer networks in unsupervised feature learning”: a convolution whose filters are the centres
of spherical k-means over whitened patches, averaged over a coarse grid; then ridge regression onto
the classes, solved in closed form. No gradient, no schedule, the same result every time, and a
fraction of the work of a deep net, which matters on two cores.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

PATCH = 6  # px along a side
FLAT = 0.02  # added to a patch's variance: paper must not be blown up into noise
WHITENING = 0.1
ROUNDS = 8  # of k-means
THRESHOLD = 1.0  # activations below it are noise


@dataclass(frozen=True)
class Dictionary:
    """Filters of a picture float [n, 3, side, side] in −1..1.

    filters: [108, words], offset: [words]; stride between patches in px; grid cells along a side.
    """

    filters: Tensor
    offset: Tensor
    stride: int
    grid: int

    def features(self, pictures: Tensor) -> Tensor:
        """[n, (words + 3) · grid²]: how much of each patch, and which colour, in each cell."""
        parts = []
        for part in pictures.split(64):
            heard = F.relu(_patches(part, self.stride) @ self.filters - self.offset - THRESHOLD)
            side = int(heard.shape[1] ** 0.5)
            cells = heard.transpose(1, 2).reshape(len(part), -1, side, side)
            pooled = F.adaptive_avg_pool2d(cells, self.grid).sqrt()
            colours = F.adaptive_avg_pool2d(part, self.grid)
            parts.append(torch.cat([pooled, colours], 1).flatten(1))
        return torch.cat(parts)


def learn_dictionary(
    pictures: Tensor, words: int, stride: int, grid: int, random: torch.Generator
) -> Dictionary:
    """The `words` commonest looks of patches in pictures [n, 3, side, side], flat ones apart."""
    patches = _patches(pictures, stride).flatten(0, 1)
    patches = patches[torch.randint(len(patches), (200 * words,), generator=random)]
    mean = patches.mean(0)
    spread, axes = torch.linalg.eigh((patches - mean).T @ (patches - mean) / len(patches))
    whitening = axes @ torch.diag((spread + WHITENING).rsqrt()) @ axes.T
    white = (patches - mean) @ whitening
    length = white.norm(dim=1, keepdim=True)
    white = (white / length)[length[:, 0] > 2]
    centres = white[torch.randperm(len(white), generator=random)[:words]]
    for _ in range(ROUNDS):
        nearest = (white @ centres.T).argmax(1)
        centres = F.normalize(torch.zeros_like(centres).index_add_(0, nearest, white), dim=1)
    filters = whitening @ centres.T
    return Dictionary(filters, mean @ filters, stride, grid)


@dataclass(frozen=True)
class PatchClassifier:
    """A dictionary and a linear map of its standardised features to scores."""

    dictionary: Dictionary
    mean: Tensor
    scale: Tensor
    linear: Tensor

    def scores(self, pictures: Tensor) -> Tensor:
        """[n, classes] for pictures [n, 3, side, side]; the largest is the best guess."""
        return (self.dictionary.features(pictures) - self.mean) / self.scale @ self.linear

    def to_state(self) -> dict[str, Any]:
        """Tensors and numbers for torch.save."""
        own = {"mean": self.mean, "scale": self.scale, "linear": self.linear}
        return {**own, **vars(self.dictionary)}


def from_state(state: dict[str, Any]) -> PatchClassifier:
    """The classifier that `to_state` told."""
    rest = dict(state)
    own = {name: rest.pop(name) for name in ("mean", "scale", "linear")}
    return PatchClassifier(Dictionary(**rest), **own)


@torch.inference_mode()
def fit(
    dictionary: Dictionary, pictures: Tensor, classes: Tensor, total: int, ridge: float
) -> PatchClassifier:
    """Least squares from pictures [n, 3, side, side] to `total` classes, int64 [n].

    Each class weighs the same, however many pictures it has. ridge: share of the features'
    variance that is added to their covariance.
    """
    features = dictionary.features(pictures)
    mean, scale = features.mean(0), features.std(0) + 1e-3
    features = (features - mean) / scale
    weight = torch.bincount(classes, minlength=total).clamp(min=1).float().reciprocal()[classes]
    weight = (weight / weight.mean())[:, None]
    wanted = F.one_hot(classes, total).float() - 1 / total
    weighted = features * weight
    covariance = weighted.T @ features
    covariance.diagonal().add_(ridge * len(features))
    linear = torch.cholesky_solve(weighted.T @ wanted, torch.linalg.cholesky(covariance))
    return PatchClassifier(dictionary, mean, scale, linear)


def _patches(pictures: Tensor, stride: int) -> Tensor:
    """[n, 3, side, side] -> [n, places, 108], each patch freed of brightness and contrast."""
    patches = F.unfold(pictures, PATCH, stride=stride).transpose(1, 2)
    patches = patches - patches.mean(2, keepdim=True)
    return patches * (patches.var(2, keepdim=True) + FLAT).rsqrt()
