"""How both networks learn: a rate that rises and falls, and a moving average of their weights.

It does not know the networks, their losses or what a step is made of.
"""

import math

import torch
from torch import Tensor, nn


def rate_at(peak: float, step: int, progress: float, warm_up: int) -> float:
    """The learning rate: up to `peak` over `warm_up` steps, and along a cosine down to 2 % of it.

    progress: how much of the whole training is done, from 0 to 1.
    """
    cosine = 0.5 + 0.5 * math.cos(math.pi * min(1.0, progress))
    return peak * min(1.0, step / warm_up) * (0.02 + 0.98 * cosine)


@torch.no_grad()
def follow_weights(average: nn.Module, model: nn.Module, step: int, memory: float) -> None:
    """Move the average's parameters towards the model's after step number `step`, from 0.

    memory: how much of itself the average keeps in a step; at first less, as the model runs away.
    """
    ours: list[Tensor] = list(average.parameters())
    theirs: list[Tensor] = list(model.parameters())
    torch._foreach_lerp_(ours, theirs, 1 - min(memory, step / (step + 10)))
