"""One request on one model: what there is to see after each step.

Knows no threads and no line; whoever iterates decides when to stop.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import asdict, replace
from importlib.metadata import version

import torch

from dalle_app import __version__
from dalle_app.engines.dalle_mini.checkpoint import Sampling
from dalle_app.engines.dalle_mini.decoder import Row
from dalle_app.engines.dalle_mini.device import memory_of
from dalle_app.engines.dalle_mini.model import Model
from dalle_app.engines.dalle_mini.pace import Pace
from dalle_app.errors import EngineError
from dalle_app.recipe import Recipe
from dalle_app.request import GeneratedImage, ImageRequest, Snapshot

log = logging.getLogger(__name__)

ENGINE = "dalle_mini"
CACHE_BYTES = 2**31  # what the pictures of one batch may remember; mega takes 200 MB each


def draw(model: Model, request: ImageRequest) -> Generator[Snapshot]:
    """Draw a settled request: a snapshot after every step, the last with all pictures.

    Pictures that do not fit into memory together are drawn in smaller batches, which changes
    nothing but the time.

    Raises:
        InvalidRequest: the model can read nothing of the prompt.
        EngineError: not even one picture fits into memory.
    """
    checkpoint = model.checkpoint
    sampling = _sampling(model, request)
    request = replace(request, **asdict(sampling))
    rows, notes = _rows(model, request, sampling)
    text_tokens = len(rows[0].text) + len(rows[0].unguided)
    recipes = _recipes(model, request)
    steps, grid = checkpoint.image.tokens, checkpoint.image.grid
    pace = Pace(steps)
    free, _ = memory_of(model.device)
    size = min(len(rows), largest_batch(model, free // 2))
    finished: list[GeneratedImage] = []

    def images(tokens: torch.Tensor, *, roughly: bool) -> tuple[GeneratedImage, ...]:
        pictures = model.painter.paint(tokens, roughly=roughly)
        new = zip(pictures, recipes[len(finished) :], strict=False)
        return (*finished, *(GeneratedImage(picture, recipe) for picture, recipe in new))

    seen: tuple[GeneratedImage, ...] = ()
    while len(finished) < len(rows):
        batch = rows[len(finished) : len(finished) + size]
        try:
            for done, tokens in enumerate(model.decode(batch), start=1):
                step = (len(finished) * steps + len(batch) * done) // len(rows)
                if done < steps:
                    if done % grid == 0 and pace.preview_due(step):
                        with pace.painting():
                            seen = images(tokens, roughly=True)
                else:
                    seen = images(tokens, roughly=False)
                    finished = list(seen)
                left = pace.seconds_left(step) if step < steps else 0.0
                yield Snapshot(
                    step,
                    steps,
                    grid,
                    seen,
                    seconds_left=left,
                    notes=tuple(notes),
                    text_tokens=text_tokens,
                )
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            if size == 1:
                raise EngineError(
                    f"There is too little memory on this machine for one picture of "
                    f"{checkpoint.name}. Close other programs, or choose a smaller model."
                ) from error
            size = max(1, size // 2)
            log.warning("out of memory with %d pictures; going on with %d", len(batch), size)
            notes.append(f"Memory is short here: drawing {_pictures(size)} at a time.")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # between batches only; the package did it at every token


def largest_batch(model: Model, room: int = CACHE_BYTES) -> int:
    """How many pictures may be drawn together, at least 1, in so many bytes or CACHE_BYTES."""
    sizes, tokens = model.checkpoint.transformer, model.checkpoint.image.tokens
    bytes_each: int = getattr(torch, model.precision).itemsize
    # Two rows a picture (guided and not), each with keys and values.
    picture = 2 * 2 * sizes.decoder_layers * tokens * sizes.width * bytes_each
    return max(1, min(room, CACHE_BYTES) // picture)


def _sampling(model: Model, request: ImageRequest) -> Sampling:
    """The request's sampling, and the model's own where it does not say."""
    own = model.checkpoint.sampling
    top_k = own.top_k if request.top_k is None else request.top_k
    return Sampling(
        temperature=own.temperature if request.temperature is None else request.temperature,
        top_k=min(top_k, model.checkpoint.image.codes),
        guidance=own.guidance if request.guidance is None else request.guidance,
    )


def _rows(model: Model, request: ImageRequest, sampling: Sampling) -> tuple[list[Row], list[str]]:
    """What to decode, and what to tell the person about it."""
    if request.seed is None:
        raise ValueError("only a settled request can be drawn")
    prompt = model.reader.read_prompt(request.prompt)
    negative = model.reader.read(request.negative_prompt)
    notes = []
    if note := model.vocabulary.note(model.checkpoint.name, prompt.text):
        notes.append(note)
    for label, reading in (("prompt", prompt), ("negative prompt", negative)):
        if reading.dropped:
            cut = _start(reading.dropped)
            notes.append(f"The {label} is too long for the model, which did not read “{cut}”.")
    first = Row(
        text=prompt.tokens,
        unguided=negative.tokens,
        seed=request.seed,
        index=0,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        guidance=sampling.guidance,
    )
    return [replace(first, index=index) for index in range(request.count)], notes


def _recipes(model: Model, request: ImageRequest) -> list[Recipe]:
    versions = {name: version(name) for name in ("torch", "min-dalle")}
    return [
        Recipe(
            request=request,
            index=index,
            engine=ENGINE,
            weights=model.fingerprint,
            precision=model.precision,
            device=model.device.kind,
            versions={"crayonbox": __version__, **versions},
        )
        for index in range(request.count)
    ]


def _is_out_of_memory(error: BaseException) -> bool:
    """torch has a class for a full GPU, and only a text for a full main memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return "can't allocate memory" in str(error)


def _pictures(count: int) -> str:
    return "one picture" if count == 1 else f"{count} pictures"


def _start(text: str, length: int = 40) -> str:
    return text if len(text) <= length else text[:length].rstrip() + "…"
