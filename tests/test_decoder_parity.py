"""Our decode loop draws what the min_dalle package's own loop draws, token for token."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from random_checkpoint import random_transformer

from dalle_app.engines.dalle_mini.checkpoint import ImageSizes, TextSizes, TransformerSizes
from dalle_app.engines.dalle_mini.decoder import DecoderState, Row, decode
from dalle_app.engines.dalle_mini.noise import gumbel
from dalle_app.engines.dalle_mini.package import DalleBartDecoder, DalleBartEncoder

TEXT = TextSizes(vocab=300, length=64, normalizer="lowercase")
IMAGE = ImageSizes(codes=16384, grid=16, start_token=16384, pixels=256)
PACKAGE_START = 16383  # the package begins with an ordinary code; see its commit 6ae7458
PROMPT = (0, 7, 90, 201, 55, 13, 2)
SIZES = {
    "one layer": TransformerSizes(1, 1, 32, 2, 40),
    "two layers, four heads": TransformerSizes(2, 2, 32, 4, 48),
    "three layers, wide units": TransformerSizes(1, 3, 48, 3, 96),
}


@pytest.fixture(params=SIZES, scope="module")
def transformer(request: pytest.FixtureRequest) -> tuple[DalleBartEncoder, DalleBartDecoder]:
    return random_transformer(TEXT, SIZES[request.param], IMAGE, seed=len(request.param))


def package_tokens(
    transformer: tuple[DalleBartEncoder, DalleBartDecoder],
    seed: int,
    guidance: float,
    monkeypatch: pytest.MonkeyPatch,
) -> torch.Tensor:
    """What MinDalle.generate_raw_image_stream draws where multinomial is given our noise."""
    from min_dalle.min_dalle import MinDalle  # already loaded, its side effects undone

    step = -1

    def multinomial(weights: torch.Tensor, count: int) -> torch.Tensor:
        nonlocal step
        step += 1
        tokens = torch.arange(weights.shape[1])[None]
        noise = gumbel(torch.tensor([[seed]]), torch.tensor([[0]]), step, tokens)
        return (weights.log() + noise).argmax(1, keepdim=True)

    monkeypatch.setattr(torch, "multinomial", multinomial)
    package = MinDalle.__new__(MinDalle)  # its __init__ wants the hub
    package.device, package.dtype, package.is_reusable = "cpu", torch.float32, True
    package.text_token_count, package.layer_count = TEXT.length, len(transformer[1].layers)
    package.embed_count = transformer[1].embed_count
    package.encoder, package.decoder = transformer
    package.tokenizer = SimpleNamespace(tokenize=lambda text, is_verbose: list(PROMPT))
    package.image_grid_from_tokens = lambda image_tokens, **_: image_tokens
    with torch.inference_mode():
        stream = package.generate_raw_image_stream(
            "a prompt", seed=1, grid_size=1, supercondition_factor=guidance
        )
        tokens: torch.Tensor = next(stream)
    return tokens


def our_tokens(
    transformer: tuple[DalleBartEncoder, DalleBartDecoder], seed: int, guidance: float
) -> torch.Tensor:
    row = Row(PROMPT, (0, 2), seed, 0, temperature=1.0, top_k=256, guidance=guidance)
    *_, tokens = decode(
        *transformer, [row], codes=IMAGE.codes, steps=IMAGE.tokens, start_token=PACKAGE_START
    )
    return tokens


@pytest.mark.filterwarnings("ignore:`torch.cuda.amp.autocast:FutureWarning")
@pytest.mark.filterwarnings("ignore:CUDA is not available:UserWarning")
def test_all_256_tokens_equal_the_packages(
    transformer: tuple[DalleBartEncoder, DalleBartDecoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = package_tokens(transformer, 5, 4.0, monkeypatch)
    ours = our_tokens(transformer, 5, 4.0)
    assert len(set(theirs[0].tolist())) >= 64, "these weights draw too little for a comparison"
    assert ours.shape == (1, 256)
    assert ours.equal(theirs)


def test_without_its_memory_the_decoder_would_draw_something_else(
    transformer: tuple[DalleBartEncoder, DalleBartDecoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = our_tokens(transformer, 5, 4.0)
    advance = DecoderState.advance

    @torch.inference_mode()
    def forgetful(self: DecoderState, previous: torch.Tensor, step: int) -> torch.Tensor:
        self.keys[:, :, :, :step] = 0
        self.values[:, :, :, :step] = 0
        return advance(self, previous, step)

    monkeypatch.setattr(DecoderState, "advance", forgetful)
    forgotten = our_tokens(transformer, 5, 4.0)
    assert forgotten[:, 0].equal(whole[:, 0])
    assert (forgotten != whole).float().mean() > 0.5


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
