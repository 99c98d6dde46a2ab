"""Pictures over HTTP: one, the grid, all; with recipes inside and names that no disk trips over."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from urllib.parse import unquote

import httpx
import pytest
from fastapi import FastAPI
from PIL import Image
from serving import serve_asgi
from squares import STEPS, Squares

from dalle_app.pictures import file_stem, picture_routes
from dalle_app.recipe import recipe_from_png
from dalle_app.request import ImageRequest
from dalle_app.run_store import RunStore
from dalle_app.studio import Studio

HARP = ImageRequest("A blue harp / ../ «синяя»", seed=6, count=4)


@pytest.fixture(scope="module")
def squares() -> Squares:
    return Squares()


@pytest.fixture(scope="module")
def studio(squares: Squares, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    opened = Studio([squares], RunStore(tmp_path_factory.mktemp("runs"), 3600, 10**7))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def client(studio: Studio) -> Iterator[httpx.Client]:
    app = FastAPI()
    app.include_router(picture_routes(studio))
    with serve_asgi(app) as url, httpx.Client(base_url=url, timeout=60) as http:
        yield http


def drawn(studio: Studio, request: ImageRequest = HARP) -> str:
    run = studio.start(request, "ada")
    assert run.wait(20)
    return run.id


def test_each_picture_is_a_png_with_its_own_recipe(studio, client):
    run_id = drawn(studio)
    for k in range(4):
        answer = client.get(f"/pictures/{run_id}/{k}.png")
        assert answer.headers["content-type"] == "image/png"
        assert "immutable" in answer.headers["cache-control"]
        recipe = recipe_from_png(io.BytesIO(answer.content))
        assert (recipe.request, recipe.index) == (HARP, k)


def test_the_grid_is_one_png_row_by_row_with_its_recipe(studio, client):
    answer = client.get(f"/pictures/{drawn(studio)}/grid.png?download=1")
    assert recipe_from_png(io.BytesIO(answer.content)).request == HARP
    with Image.open(io.BytesIO(answer.content)) as grid:
        assert grid.size == (32, 32)
        places = [(0, 0), (16, 0), (0, 16), (16, 16)]
        assert [grid.getpixel(place) for place in places] == [
            (6, 5 * k, 60 * STEPS) for k in range(4)
        ]
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment;")
    assert unquote(disposition.partition("''")[2]) == "a-blue-harp-синяя-seed6-grid.png"


def test_all_pictures_come_in_one_zip(studio, client):
    answer = client.get(f"/pictures/{drawn(studio)}/all.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"a-blue-harp-синяя-seed6-{k}.png" for k in (1, 2, 3, 4)]
        with archive.open("a-blue-harp-синяя-seed6-3.png") as file:
            assert recipe_from_png(io.BytesIO(file.read())).index == 2


def test_a_run_that_is_still_drawn_shows_what_there_is_and_is_not_cached(studio, squares, client):
    squares.gate.clear()
    squares.hold_from = 3
    run = studio.start(HARP, "ada")
    for snapshot in run.follow():
        if snapshot.images:
            break
    answer = client.get(f"/pictures/{run.id}/0.png")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    squares.gate.set()


@pytest.mark.parametrize("name", ["4.png", "-1.png", f"{10**20}.png"])
def test_a_picture_outside_the_grid_is_not_there(studio, client, name):
    assert client.get(f"/pictures/{drawn(studio)}/{name}").status_code == 404


@pytest.mark.parametrize("run_id", ["f" * 32, "..", "%2e%2e%2f%2e%2e%2fetc", "x"])
def test_a_run_that_nobody_knows_is_not_there(client, run_id):
    for name in ("0.png", "grid.png", "all.zip"):
        assert client.get(f"/pictures/{run_id}/{name}").status_code == 404


@pytest.mark.parametrize(
    ("prompt", "stem"),
    [
        ("a blue harp", "a-blue-harp-seed6"),
        ("../../etc/passwd", "etc-passwd-seed6"),
        ("a\nb\r\nSet-Cookie: x", "a-b-set-cookie-x-seed6"),
        ("\u202egnp.exe", "gnp-exe-seed6"),
        ("نيلي قيثارة", "نيلي-قيثارة-seed6"),
        ("नीला वीणा", "नीला-वीणा-seed6"),
        ("🪕🪕", "picture-seed6"),
        ('"; rm -rf $HOME', "rm-rf-home-seed6"),
        ("con", "con-seed6"),
    ],
)
def test_a_file_name_keeps_the_letters_of_every_script_and_nothing_else(prompt, stem):
    assert file_stem(ImageRequest(prompt, seed=6)) == stem


def test_a_long_prompt_makes_a_name_that_a_disk_can_hold():
    for letter in "aя漢𝒜":
        assert (
            len(f"{file_stem(ImageRequest(letter * 4000, seed=2**53 - 1))}-grid.png".encode()) < 200
        )
