"""The studio as an Images API: what `/v1` answers.

OpenAI's own clients speak to it, and so do other copies of this app. Knows HTTP and the studio;
nothing of engines, nothing of the page. Mounted by web.py as an app of its own, so that its errors,
its documents and its rule of access are its alone.
"""

from __future__ import annotations

import time
from typing import Annotated, Any

from anyio import CapacityLimiter
from fastapi import Depends, FastAPI, Path, Request, Response
from fastapi.security import HTTPBearer

from dalle_app import __version__
from dalle_app.access import Access
from dalle_app.api.delivery import Delivery
from dalle_app.api.drawing import Drawing
from dalle_app.api.errors import ApiError, add_error_answers
from dalle_app.api.guard import BodyLimit, Guard
from dalle_app.api.links import ROUTE as LINKS
from dalle_app.api.links import LinkFolder
from dalle_app.api.schema import (
    ErrorAnswer,
    Format,
    GenerationBody,
    ImagesAnswer,
    ModelAnswer,
    ModelsAnswer,
    event_schema,
)
from dalle_app.studio import Studio

__all__ = ["create_api"]

THREADS = 64  # drawings that may wait for their engine at a time, each in a thread
MAX_UPLOAD = 64 * 1024**2  # bytes of an upload that are taken off the wire before it is refused
_ModelName = Annotated[str, Path(json_schema_extra={"pattern": r"^[A-Za-z0-9._:-]+$"})]
_ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorAnswer, "description": "The request cannot be answered"},
    "5XX": {"model": ErrorAnswer, "description": "The pictures could not be finished"},
}
_EVENTS = {
    "description": "The pictures; with `stream`, events `image_generation.partial_image` and "
    "`image_generation.completed`, each with one picture and its `index`",
    "content": {"text/event-stream": {"itemSchema": event_schema()}},
}


def create_api(studio: Studio, access: Access, links: LinkFolder) -> FastAPI:
    """The app to mount at `/v1`.

    Args:
        access: who may use it.
        links: where pictures that are asked for by address are kept.
    """
    api = FastAPI(
        title="Crayonbox Images API",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        responses=_ERRORS,
        # Says in the document that a key is wanted. The guard is who asks for it.
        dependencies=[Depends(HTTPBearer(auto_error=False))] if access.mode == "keys" else [],
    )
    api.add_middleware(BodyLimit)
    api.add_middleware(Guard, access=access)
    add_error_answers(api)
    threads = CapacityLimiter(THREADS)
    since = int(time.time())

    def offered() -> list[ModelAnswer]:
        usable = [state.name for state in studio.models() if state.usable]
        return [ModelAnswer(id=name, created=since, owned_by="crayonbox") for name in usable]

    def offered_model(name: str | None) -> ModelAnswer:
        for found in offered():
            if found.id == name or not name:  # who names none gets the first
                return found
        which = f"no model “{name[:40]}” here" if name else "no model here that can draw now"
        message = f"There is {which}. GET /v1/models lists those that can."
        raise ApiError(404, message, param="model", code="model_not_found")

    @api.get("/models")
    def models() -> ModelsAnswer:
        """The models that can draw now."""
        return ModelsAnswer(data=offered())

    @api.get("/models/{name}")
    def one_model(name: _ModelName) -> ModelAnswer:
        """One of them."""
        return offered_model(name)

    @api.post("/images/generations", response_model=ImagesAnswer, responses={200: _EVENTS})
    async def generate(body: GenerationBody, client: Request) -> Response:
        """Draw pictures of a prompt. Who hangs up stops the drawing."""

        def address(picture: bytes, format: Format) -> str:
            return str(client.url_for("picture", name=links.add(picture, format)))

        request = body.image_request(offered_model(body.model).id)
        drawing = Drawing(studio, request, client.state.visitor, threads)
        delivery = Delivery(body, address)
        if body.stream:
            return await drawing.stream(delivery, body.partial_images or 0)
        return await drawing.answer(delivery, client)

    @api.post("/images/edits", status_code=400, response_model=ErrorAnswer)
    async def edit(client: Request) -> Response:
        """Refused: the models here draw from words alone."""
        received = 0
        async for part in client.stream():  # a client that is still sending does not listen
            received += len(part)
            if received > MAX_UPLOAD:
                break
        raise ApiError(
            400,
            "The models here draw from words alone and cannot edit pictures. "
            "Describe the whole picture to /v1/images/generations.",
            code="edits_not_supported",
        )

    @api.get(LINKS + "/{name}", name="picture", include_in_schema=False)
    def picture(name: str) -> Response:
        found = links.find(name)
        if found is None:
            raise ApiError(404, "This address has expired: pictures stay an hour.", code="expired")
        encoded, left = found
        headers = {"Cache-Control": f"private, max-age={int(left)}, immutable"}
        return Response(encoded, media_type=f"image/{name.rpartition('.')[2]}", headers=headers)

    return api
