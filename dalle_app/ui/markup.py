"""HTML for the parts of the page that Gradio has no component for, from `templates/`.

Knows nothing of events. Every value is escaped by Jinja2; nothing is put together by hand.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from dalle_app.grid import grid_image
from dalle_app.image_models import ImageModel
from dalle_app.recipe import link_from_request
from dalle_app.request import GeneratedImage, ImageRequest
from dalle_app.runs import Run
from dalle_app.ui.examples import Example
from dalle_app.ui.status import Status
from dalle_app.ui.words import say, say_pictures

SHEET_PIXELS = 768  # longest side of a preview: the grid is at most 720 px wide


def render(template: str, **values: object) -> str:
    """A template of `templates/` filled in, safe to hand to a `gr.HTML`."""
    text = _environment().get_template(f"{template}.html").render(**values)
    # gr.HTML reads its content as a Handlebars template and a JavaScript one.
    return text.replace("{", "&#123;").replace("}", "&#125;").replace("$", "&#36;")


def status_markup(status: Status) -> str:
    """The line above the grid."""
    return render("status", status=status)


def problem_markup(text: str) -> str:
    """What was wrong with the widgets, under the prompt; an empty text shows nothing."""
    return render("problem", text=text)


def price_markup(model: ImageModel, text: str) -> str:
    """What a drawing will cost, and that the model is retired if it is."""
    today = date.today()
    retirement = model.retirement(today)
    retired = model.is_retired(today)
    return render("price", model=model, retirement=retirement, retired=retired, text=text)


def empty_markup(side: int, examples: Sequence[Example] = ()) -> str:
    """The grid before its first picture: the examples, or dotted places."""
    return render("empty", side=side, examples=examples)


def preview_markup(run: Run) -> str:
    """The grid while it is drawn: one contact sheet over dotted places."""
    images = run.snapshot.images if run.snapshot else ()
    return render("preview", **_grid_values(run.request, images))


def tiles_markup(run: Run) -> str:
    """The finished (or stopped) grid: a tile a picture, with what one can do with each."""
    images = run.snapshot.images if run.snapshot else ()
    if not images:
        return empty_markup(run.request.side)
    tiles = [
        {
            "url": f"pictures/{run.id}/{k}.png",
            "link": _link(image.recipe.request),
            "reroll": json.dumps({"act": "reroll", "run": run.id, "k": k}),
        }
        for k, image in enumerate(images)
    ]
    values = _grid_values(images[0].recipe.request, images)
    return render("tiles", run=run, tiles=tiles, link=tiles[0]["link"], **values)


def recent_markup(runs: Sequence[Run]) -> str:
    """The strip of a visitor's last grids."""
    entries = [
        {
            "sheet": _sheet(run.snapshot.images, run.request.side, 144),
            "name": say(
                "recent_open", prompt=run.request.prompt, pictures=say_pictures(run.request.count)
            ),
            "prompt": run.request.prompt,
            "show": json.dumps({"act": "show", "run": run.id}),
        }
        for run in runs
        if run.snapshot and run.snapshot.images
    ]
    return render("recent", entries=entries)


def _grid_values(request: ImageRequest, images: Sequence[GeneratedImage]) -> dict[str, object]:
    return {
        "request": request,
        "side": request.side,
        "sheet": _sheet(images, request.side, SHEET_PIXELS) if images else "",
        "pixels": images[0].picture.width if images else 0,
    }


def _sheet(images: Sequence[GeneratedImage], side: int, pixels: int) -> str:
    """All pictures in one, at most `pixels` wide, as a `data:` address."""
    sheet = grid_image([image.picture for image in images], side)
    sheet.thumbnail((pixels, pixels), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _link(request: ImageRequest) -> str:
    """The query part of a request's link; the browser knows the page's own address."""
    return link_from_request(request).lstrip("/")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(say=say, say_pictures=say_pictures)
    return environment
