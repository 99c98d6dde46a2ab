"""Pictures in one call, for Python programs: `generate("Dogs playing", seed=6, grid_size=2)`.

Knows no server and no page.
"""

from __future__ import annotations

import atexit
import os
from functools import cache

from PIL import Image

from dalle_app.engines import build_local_engine
from dalle_app.grid import grid_image
from dalle_app.request import request_from_fields
from dalle_app.run_store import RunStore
from dalle_app.settings import Settings, settings_from_environment
from dalle_app.studio import Studio


def generate(
    prompt: str,
    *,
    seed: int | None = None,
    grid_size: int = 1,
    model: str | None = None,
    negative_prompt: str = "",
    temperature: float | None = None,
    top_k: int | None = None,
    guidance: float | None = None,
) -> Image.Image:
    """Draw a square grid of pictures with a local model, loaded at the first call and then kept.

    Args:
        seed: None draws other pictures every time.
        grid_size: pictures along a side, 1 to 6.
        model: DALLE_MODEL's, which is pocket's unless set, if None.
        temperature, top_k, guidance: the model's own if None.

    Returns:
        RGB, 256 pixels a picture and side.

    Raises:
        DalleError: with one sentence that says what to do.
    """
    settings = _settings()
    request = request_from_fields(
        {
            "prompt": prompt,
            "seed": seed,
            "grid": grid_size,
            "model": model or settings.model,
            "negative_prompt": negative_prompt,
            "temperature": temperature,
            "top_k": top_k,
            "guidance": guidance,
        }
    )
    *_, last = _studio().draw(request)
    return grid_image([image.picture for image in last.images], request.side)


def local_studio(settings: Settings) -> Studio:
    """A studio of the local engine alone, which nobody else draws in."""
    store = RunStore(
        settings.data_dir / "runs", settings.keep_hours * 3600, settings.keep_megabytes * 10**6
    )
    return Studio([build_local_engine(settings)], store, max_pictures=settings.max_pictures)


@cache
def _settings() -> Settings:
    return settings_from_environment(os.environ)


@cache
def _studio() -> Studio:
    studio = local_studio(_settings())
    atexit.register(studio.close)  # before the interpreter takes torch apart under its thread
    return studio
