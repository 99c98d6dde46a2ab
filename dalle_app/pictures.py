"""The pictures of a run over HTTP: one, the whole grid, or all in a zip.

The address holds the run's random id, and only who started the run was told it.
"""

from __future__ import annotations

import io
import unicodedata
import zipfile
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Response

from dalle_app.grid import grid_image
from dalle_app.recipe import save_picture, save_png
from dalle_app.request import GeneratedImage, ImageRequest
from dalle_app.studio import Studio


def picture_routes(studio: Studio) -> APIRouter:
    """`/pictures/{run}/{k}.png`, `/pictures/{run}/grid.png`, `/pictures/{run}/all.zip`.

    Shown in place, or with `?download=1` saved under a name made of prompt and seed. A run that is
    still being drawn shows what there is, and is not to be cached.
    """
    router = APIRouter(prefix="/pictures")

    def images_of(run_id: str) -> tuple[tuple[GeneratedImage, ...], bool]:
        run = studio.run(run_id)
        if run is None or run.snapshot is None or not run.snapshot.images:
            raise HTTPException(404, "These pictures are not kept any more.")
        return run.snapshot.images, run.over

    @router.get("/{run_id}/grid.png")
    def grid(run_id: str, download: bool = False) -> Response:
        images, lasting = images_of(run_id)
        request = images[0].recipe.request
        buffer = io.BytesIO()
        picture = grid_image([image.picture for image in images], request.side)
        save_picture(picture, images[0].recipe, buffer)
        return _answer(buffer, f"{file_stem(request)}-grid.png", lasting, download)

    @router.get("/{run_id}/all.zip")
    def everything(run_id: str) -> Response:
        images, lasting = images_of(run_id)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:  # stored: PNG does not shrink again
            for image in images:
                png = io.BytesIO()
                save_png(image, png)
                archive.writestr(_name(image), png.getvalue())
        name = f"{file_stem(images[0].recipe.request)}.zip"
        return _answer(buffer, name, lasting, download=True)

    @router.get("/{run_id}/{k}.png")
    def picture(run_id: str, k: int, download: bool = False) -> Response:
        images, lasting = images_of(run_id)
        if not 0 <= k < len(images):
            raise HTTPException(404, "There is no such picture in this grid.")
        buffer = io.BytesIO()
        save_png(images[k], buffer)
        return _answer(buffer, _name(images[k]), lasting, download)

    return router


def file_stem(request: ImageRequest) -> str:
    """Name for files of a request: its prompt's words and its seed, `a-blue-harp-seed6`.

    Letters of every script stay; what a file system or a shell could trip over does not.
    """
    text = unicodedata.normalize("NFC", request.prompt).lower()
    words = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text).split()
    # In bytes, because a name may have 255 of them on disk.
    stem = "-".join(words).encode()[:120].decode(errors="ignore").rstrip("-")
    return f"{stem or 'picture'}-seed{request.seed}"


def _name(image: GeneratedImage) -> str:
    return f"{file_stem(image.recipe.request)}-{image.recipe.index + 1}.png"


def _answer(buffer: io.BytesIO, name: str, lasting: bool, download: bool) -> Response:
    kind = "attachment" if download else "inline"
    headers = {
        "Content-Disposition": f"{kind}; filename*=UTF-8''{quote(name)}",
        "Cache-Control": "private, max-age=86400, immutable" if lasting else "no-store",
    }
    media = "application/zip" if name.endswith(".zip") else "image/png"
    return Response(buffer.getvalue(), media_type=media, headers=headers)
