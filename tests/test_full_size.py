"""mini at its published size, from its files to a picture saved from the page."""

from __future__ import annotations

import io
import resource
from pathlib import Path

import pytest
from browser_fixtures import OpenPage, draw, wait_for_pictures
from PIL import Image
from published_shapes import write_published
from serving import serve

from dalle_app.engines.dalle_mini.checkpoint import checkpoints
from dalle_app.engines.dalle_mini.engine import LocalEngine
from dalle_app.recipe import recipe_from_png
from dalle_app.settings import Settings


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_mini_draws_through_the_whole_app(tmp_path: Path, open_page: OpenPage) -> None:
    models = tmp_path / "models"
    written = write_published("mini", models)
    mini = checkpoints(models)["mini"]
    assert written == pytest.approx(mini.download, rel=0.01)
    settings = Settings(data_dir=tmp_path / "data", models_dir=models, model="mini")
    with serve([LocalEngine(settings, {"mini": mini})], settings) as served:
        page = open_page(f"{served.url}/?model=mini&grid=1&prompt=-")
        page.set_default_timeout(900_000)
        draw(page, "a red cat")
        page.wait_for_selector(".board-preview[role=img]")
        wait_for_pictures(page, "a red cat", 1)
        with page.expect_download() as saving:
            page.click("text=Download grid")
    png = Path(saving.value.path()).read_bytes()
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.size == (256, 256)
    assert recipe_from_png(io.BytesIO(png)).request.model == "mini"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"\n{written / 1e9:.2f} GB of weights, {peak:.1f} GB of memory at most")
