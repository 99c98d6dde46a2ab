"""The random function: a Gumbel value for every (seed, index, step, token), and nothing else.

It knows no model and keeps no state, so a picture depends on its recipe alone: not on its batch,
not on what ran before, not on the device.

This is a file format. A seed that someone kept must draw the same picture next year, so nothing
below may change (`tests/test_noise.py` holds known values):

    key      = (seed mod 2^32, seed div 2^32)                     seed in 0 … 2^53−1
    counter  = (token, step, index, 0)                            each in 0 … 2^32−1
    x0 … x3  = Philox-4x32-10 of counter under key                (Salmon et al., SC 2011)
    u        = (x0 · 2^20 + x1 div 2^12 + 1/2) / 2^52             float64, never 0 nor 1
    noise    = −log(−log(u))                                      float64, rounded to float32
"""

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


def gumbel(seed: Tensor, index: Tensor, step: int, token: Tensor) -> Tensor:
    """The noise for some tokens of some pictures at one step.

    Args:
        seed, index: int64 [n, 1], a picture's seed and its place in its request.
        step: which token of the picture is being drawn, from 0.
        token: int64 [n, k], the codes to choose from.

    Returns:
        float32 [n, k], standard Gumbel values.
    """
    zero = torch.zeros_like(token)
    x0, x1, _, _ = philox((token, zero + step, zero + index, zero), (seed & _MASK, seed >> 32))
    uniform = ((x0 << 20 | x1 >> 12).double() + 0.5) * 2.0**-52
    return -torch.log(-torch.log(uniform)).float()


def philox(
    counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Philox-4x32-10 on tensors: 32-bit words held in int64, which every device multiplies alike.

    Shapes broadcast; the counter's words must already have the result's shape.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        high0, low0 = _multiply(c0, _MULTIPLIERS[0])
        high1, low1 = _multiply(c2, _MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + _KEY_STEPS[0]) & _MASK, (k1 + _KEY_STEPS[1]) & _MASK
    return c0, c1, c2, c3


def _multiply(word: Tensor, constant: int) -> tuple[Tensor, Tensor]:
    """The high and low 32 bits of a product of 32-bit words, by 16-bit halves of `word`.

    The whole product would overflow int64, which has no unsigned twin on every device.
    """
    low = (word & 0xFFFF) * constant
    middle = (word >> 16) * constant + (low >> 16)
    return middle >> 16, (middle & 0xFFFF) << 16 | low & 0xFFFF
