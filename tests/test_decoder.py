"""The decode loop draws from the model's distribution, and no row notices the others."""

from dataclasses import replace

import pytest
import torch
from random_checkpoint import random_transformer

from dalle_app.engines.dalle_mini.checkpoint import ImageSizes, TextSizes, TransformerSizes
from dalle_app.engines.dalle_mini.decoder import DecoderState, Row, Sampler, decode

TEXT = TextSizes(vocab=60, length=16, normalizer="lowercase")
SIZES = TransformerSizes(encoder_layers=1, decoder_layers=2, width=32, heads=4, glu_width=40)
IMAGE = ImageSizes(codes=100, grid=8, start_token=100, pixels=128)
CAT = Row((0, 7, 9, 2), (0, 2), 5, 0, temperature=1.0, top_k=100, guidance=2.0)


@pytest.fixture(scope="module")
def transformer() -> tuple[torch.nn.Module, torch.nn.Module]:
    encoder, decoder = random_transformer(TEXT, SIZES, IMAGE, seed=1)
    encoder.pose_tokens = encoder.pose_tokens[:1]
    return encoder, decoder


def tokens(transformer: tuple, rows: list[Row]) -> torch.Tensor:
    *_, last = decode(*transformer, rows, codes=100, steps=64, start_token=100)
    return last


def test_rows_of_different_prompts_and_settings_share_a_batch_unnoticed(transformer: tuple) -> None:
    rows = [
        CAT,
        replace(CAT, index=1),
        Row((0, 8, 30, 31, 32, 33, 34, 2), (0, 12, 2), 2**53 - 1, 0, 0.5, 3, 0.0),
        replace(CAT, top_k=1, guidance=10.0, seed=0),
    ]
    together = tokens(transformer, rows)
    for row, drawn in zip(rows, together, strict=True):
        assert tokens(transformer, [row])[0].equal(drawn)


def test_seeds_and_indices_give_unrelated_pictures(transformer: tuple) -> None:
    # Hot, so that what two pictures share is not what the model likes best.
    hot = replace(CAT, temperature=5.0)
    rows = [replace(hot, seed=seed, index=index) for seed in (5, 6, 2**40) for index in range(3)]
    drawn = tokens(transformer, rows)
    shared = [(a == b).float().mean() for k, a in enumerate(drawn) for b in drawn[k + 1 :]]
    assert max(shared) < 0.1


def test_only_the_top_k_codes_are_drawn() -> None:
    logits = torch.arange(100.0).expand(300, -1) * 0.01
    rows = [replace(CAT, index=k, top_k=3 if k % 2 else 10) for k in range(300)]
    drawn = Sampler(rows, 100, torch.device("cpu")).draw(logits, 0)
    assert set(drawn[1::2].tolist()) == {97, 98, 99}
    assert set(drawn[::2].tolist()) == set(range(90, 100))


def test_codes_beyond_the_vocabulary_of_pictures_are_never_drawn(transformer: tuple) -> None:
    *_, drawn = decode(*transformer, [CAT], codes=10, steps=64, start_token=100)
    assert drawn.max() < 10


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_fit_the_softmax_of_the_logits(temperature: float) -> None:
    draws, codes = 20_000, 12
    logits = torch.linspace(-1.5, 1.5, codes).expand(draws, -1)
    rows = [
        replace(CAT, seed=k // 4, index=k % 4, top_k=codes, temperature=temperature)
        for k in range(draws)
    ]
    drawn = Sampler(rows, codes, torch.device("cpu")).draw(logits, 3)
    expected = torch.softmax(logits[0] / temperature, 0) * draws
    found = torch.bincount(drawn, minlength=codes)
    chi_square = ((found - expected) ** 2 / expected).sum().item()
    assert chi_square < 31.26  # 0.1 % of honest samples lie above, with 11 degrees of freedom


def test_guidance_leads_from_the_unguided_text_to_the_prompt_and_beyond(
    transformer: tuple,
) -> None:
    def logits(row: Row) -> torch.Tensor:
        return DecoderState(*transformer, [row], 100, 64).advance(torch.tensor([100]), 0)

    unguided, prompted = logits(replace(CAT, guidance=0.0)), logits(replace(CAT, guidance=1.0))
    beyond = logits(replace(CAT, guidance=3.0))
    assert torch.allclose(beyond, unguided + 3 * (prompted - unguided), atol=1e-4)
    swapped = logits(replace(CAT, text=CAT.unguided, unguided=CAT.text, guidance=0.0))
    assert torch.allclose(swapped, prompted, atol=1e-5)


def test_padding_of_a_text_has_no_influence(transformer: tuple) -> None:
    long = replace(CAT, text=(0, *range(4, 18), 2))
    alone, beside_a_longer = tokens(transformer, [CAT]), tokens(transformer, [CAT, long])
    assert alone[0].equal(beside_a_longer[0])
