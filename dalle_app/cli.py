"""The terminal: `python -m dalle_app "Dogs playing" --seed 6 --grid 2 -o dogs.png`.

Knows the studio, and of the local family only how to fetch its weights. Pictures go to files, their
names to standard output, everything else to standard error.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from dalle_app.errors import DalleError, FetchError, InvalidRequest, StorageError
from dalle_app.grid import grid_image
from dalle_app.recipe import Recipe, recipe_from_png, save_picture, save_png
from dalle_app.request import GeneratedImage, ImageRequest, Snapshot, request_from_fields
from dalle_app.resampling import resample
from dalle_app.settings import settings_from_environment

terminal = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Draw pictures of a prompt, or fetch the published weights to draw them with. What can "
    "be said of a drawing: python -m dalle_app draw --help",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command, `draw` if none is named. A person's error is one sentence, and status 2."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] not in ("draw", "fetch", "--help"):
        words.insert(0, "draw")
    try:
        terminal(words, prog_name="python -m dalle_app")
    except DalleError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


@terminal.command()
def draw(
    prompt: Annotated[str, typer.Argument(help="What to draw, in English.")] = "",
    seed: Annotated[
        int | None, typer.Option(help="Draws the same again; random if left out.")
    ] = None,
    grid: Annotated[int, typer.Option(help="Pictures along a side, 1 to 6.")] = 1,
    model: Annotated[str, typer.Option(help="pocket, mini or mega.")] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="PNG file to write.")
    ] = None,
    each: Annotated[bool, typer.Option("--each", help="A file for each picture, no grid.")] = False,
    recipe: Annotated[Path | None, typer.Option(help="Draw what this PNG's recipe says.")] = None,
) -> None:
    """Draw a prompt into a PNG. This is what runs if no command is named."""
    from dalle_app.generation import local_studio

    settings = settings_from_environment(os.environ)
    old = _read_recipe(recipe) if recipe else None
    if old is None:
        fields = {"prompt": prompt, "seed": seed, "grid": grid, "model": model or settings.model}
        request = request_from_fields(fields).settle()
    elif prompt or seed is not None or grid != 1 or model:
        raise InvalidRequest("prompt", "A recipe says what to draw. Leave the rest out.")
    else:
        request = old.request
    path = _png_path(output, request)
    studio = local_studio(replace(settings, model=request.model))
    try:
        with closing(studio.draw(request)) as snapshots:
            images = _follow(snapshots)
    finally:
        studio.close()
    if recipe and old:
        _compare(old, images[0].recipe)
        if old.resampled:
            images = tuple(resample(image, old.resampled) for image in images)
        if _size(recipe) == images[0].picture.size:  # one picture of a grid, not the grid
            images = (images[old.index],)
    for file in _write(images, path, each):
        typer.echo(file)
    typer.echo(f"seed {request.seed}", err=True)


@terminal.command()
def fetch(model: Annotated[str, typer.Argument(help="mini or mega.")]) -> None:
    """Fetch the published weights of a model into DALLE_MODELS_DIR."""
    from dalle_app.engines.dalle_mini.checkpoint import checkpoints
    from dalle_app.engines.dalle_mini.device import choose_device, memory_of
    from dalle_app.engines.dalle_mini.fetching import fetch_model

    settings = settings_from_environment(os.environ)
    folder = settings.models_dir.absolute()
    family = checkpoints(settings.models_dir)
    published = [name for name, checkpoint in family.items() if checkpoint.source]
    if model not in published:
        raise FetchError(f"“{model}” cannot be fetched. There are: {', '.join(published)}.")
    _, room = memory_of(choose_device(settings.device))
    with closing(fetch_model(family[model], settings.precision, room)) as reports, _bar() as bar:
        task = None
        for progress in reports:
            if task is None:
                bar.console.print(f"{model}: {progress.outlook} for {folder}", soft_wrap=True)
                task = bar.add_task(model, said="")
            said = str(progress)
            bar.update(task, completed=progress.done, total=progress.total, said=said)
    typer.echo(f"{model} is ready in {folder}.")


def _bar() -> Progress:
    """A bar on standard error: what is done, how far, and in words."""
    words = TextColumn("{task.fields[said]}")
    return Progress(
        TextColumn("{task.description}"), BarColumn(), words, console=Console(stderr=True)
    )


def _follow(snapshots: Iterator[Snapshot]) -> tuple[GeneratedImage, ...]:
    """Show a drawing's progress, then its notes. Returns all pictures."""
    with _bar() as bar:
        task = bar.add_task("drawing", said="")
        for snapshot in snapshots:
            said = _progress(snapshot)
            bar.update(task, completed=snapshot.step, total=snapshot.of, said=said)
    for note in snapshot.notes:
        typer.echo(note, err=True)
    return snapshot.images


def _progress(snapshot: Snapshot) -> str:
    if snapshot.step == 0:
        return " ".join(snapshot.notes)  # “Loading mini.”
    return f"row {snapshot.row} of {snapshot.rows}"


def _read_recipe(file: Path) -> Recipe:
    try:
        with file.open("rb") as stream:
            return recipe_from_png(stream)
    except OSError as error:
        raise StorageError(f"{file} cannot be read: {error.strerror or error}.") from error


def _png_path(output: Path | None, request: ImageRequest) -> Path:
    """Where to write, checked before anything is drawn."""
    from dalle_app.pictures import file_stem

    path = output or Path(f"{file_stem(request)}.png")
    if path.suffix.lower() != ".png":
        raise StorageError(f"{path} must end in .png, which alone carries the recipe.")
    if not path.parent.is_dir():
        raise StorageError(f"There is no folder {path.parent} to write {path.name} into.")
    return path


def _compare(old: Recipe, new: Recipe) -> None:
    """Say what differs from the first time, because then the pictures may."""
    differ = [
        f"{name} {getattr(new, name)} instead of {getattr(old, name)}"
        for name in ("weights", "precision", "device")
        if getattr(new, name) != getattr(old, name)
    ]
    differ += [
        f"{name} {new.versions.get(name)} instead of {version}"
        for name, version in old.versions.items()
        if new.versions.get(name) != version
    ]
    if differ:
        typer.echo(f"These may not be the same pictures: {', '.join(differ)}.", err=True)


def _size(file: Path) -> tuple[int, int]:
    with Image.open(file) as picture:
        return picture.size


def _write(images: Sequence[GeneratedImage], path: Path, each: bool) -> list[Path]:
    """Write one file for all pictures, or one for each: `dogs-1.png`, `dogs-2.png`."""
    try:
        if not each:
            with path.open("wb") as stream:
                side = math.isqrt(len(images) - 1) + 1
                grid = grid_image([image.picture for image in images], side)
                save_picture(grid, images[0].recipe, stream)
            return [path]
        paths = [path.with_stem(f"{path.stem}-{image.recipe.index + 1}") for image in images]
        for image, file in zip(images, paths, strict=True):
            with file.open("wb") as stream:
                save_png(image, stream)
        return paths
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}.") from error
