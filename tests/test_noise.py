"""The random function is a file format: these values may never change."""

import pytest
import torch

from dalle_app.engines.dalle_mini.noise import gumbel, philox
from dalle_app.request import MAX_SEED

# Random123's known answers (kat_vectors): counter, key, result.
PUBLISHED = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]

# seed, index, step, token: noise. Committed with the first release.
KNOWN = [
    ((0, 0, 0, 0), 0.0848202),
    ((0, 0, 0, 1), 3.5701597),
    ((1, 0, 0, 0), 2.1520755),
    ((7, 8, 63, 1023), 2.1921895),
    ((2**32, 0, 255, 16383), -0.7741795),
    ((MAX_SEED, 35, 255, 16383), 1.0598968),
]


def noise(seed: int, index: int, step: int, tokens: torch.Tensor) -> torch.Tensor:
    return gumbel(torch.tensor([[seed]]), torch.tensor([[index]]), step, tokens[None])[0]


@pytest.mark.parametrize(("counter", "key", "expected"), PUBLISHED)
def test_philox_gives_the_published_values(
    counter: tuple[int, ...], key: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    c0, c1, c2, c3 = (torch.tensor([word]) for word in counter)
    k0, k1 = (torch.tensor([word]) for word in key)
    words = philox((c0, c1, c2, c3), (k0, k1))
    assert tuple(int(word) for word in words) == expected


@pytest.mark.parametrize(("place", "expected"), KNOWN)
def test_noise_is_what_it_was_when_the_first_seeds_were_kept(
    place: tuple[int, int, int, int], expected: float
) -> None:
    seed, index, step, token = place
    assert noise(seed, index, step, torch.tensor([token])).item() == pytest.approx(expected, 1e-6)


def test_noise_is_a_standard_gumbel() -> None:
    values = noise(5, 0, 0, torch.arange(200_000)).double()
    assert values.mean().item() == pytest.approx(0.57722, abs=0.01)
    assert values.var().item() == pytest.approx(torch.pi**2 / 6, abs=0.03)
    assert values.isfinite().all()


def test_every_part_of_the_place_changes_the_noise() -> None:
    tokens = torch.arange(20_000)
    first = noise(3, 0, 0, tokens)
    others = {
        "the next seed": noise(4, 0, 0, tokens),
        "a seed that differs above 32 bits": noise(3 + 2**32, 0, 0, tokens),
        "the largest seed": noise(MAX_SEED, 0, 0, tokens),
        "seed 0": noise(0, 0, 0, tokens),
        "the next picture": noise(3, 1, 0, tokens),
        "the next step": noise(3, 0, 1, tokens),
        "the next token": noise(3, 0, 0, tokens + 1),
    }
    for what, other in others.items():
        correlation = torch.corrcoef(torch.stack([first, other]))[0, 1].abs().item()
        assert correlation < 0.03, what


def test_noise_of_a_picture_does_not_know_who_shares_the_batch() -> None:
    tokens = torch.tensor([[5, 9, 700], [1, 2, 3]])
    together = gumbel(torch.tensor([[11], [12]]), torch.tensor([[0], [4]]), 17, tokens)
    assert together[0].equal(noise(11, 0, 17, tokens[0]))
    assert together[1].equal(noise(12, 4, 17, tokens[1]))
