"""The client of every server that speaks the Images API: OpenAI, LocalAI, a cluster of our own.

Knows no page, and of the server only what `ImageServer` does.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai
from anyio.from_thread import start_blocking_portal
from openai.types import ImagesResponse
from PIL import Image

from dalle_app import __version__
from dalle_app.engines import ModelState, Snapshots
from dalle_app.engines.edit import Edit
from dalle_app.engines.image_server import ImageServer
from dalle_app.engines.picture_stream import PictureStream
from dalle_app.engines.provider_errors import (
    CUT_OFF,
    NO_PICTURE,
    WEB_PAGE,
    costs_nothing,
    provider_error,
)
from dalle_app.engines.remote_pictures import (
    fetch,
    is_private,
    picture_from_base64,
    picture_from_bytes,
)
from dalle_app.engines.usage import used_of
from dalle_app.errors import InvalidRequest, ProviderError
from dalle_app.image_models import ImageModel, TokenCount, image_model, image_models, newest_model
from dalle_app.recipe import Recipe
from dalle_app.request import GeneratedImage, ImageRequest, Snapshot
from dalle_app.settings import Settings
from dalle_app.spending import Charge, say_dollars

PULSE_SECONDS = 0.4  # between two snapshots while the server is silent, so that a stop is heard

Tell = Callable[[Snapshot], None]


class OpenAIImages:
    """An `Engine` (see dalle_app.engines) that asks a server.

    It asks once: a call that failed may have been billed, so none is repeated.

    Args:
        settings: the model that comes first.
        base_url, api_key: the server, as `ImageServer` takes them.
        options: further fields of the Images API, `{"quality": "low"}`.
        edit: the pictures to start from; None to draw new ones.
        model: what is known of the model that will be asked for, where the server told more.
        charge: settled with what the call cost.

    Raises:
        ProviderError: the address or the key cannot be one.
    """

    name = "openai_images"

    def __init__(
        self,
        settings: Settings,
        *,
        base_url: str,
        api_key: str,
        options: Mapping[str, str | int] | None = None,
        edit: Edit | None = None,
        model: ImageModel | None = None,
        charge: Charge | None = None,
    ) -> None:
        self._default = settings.openai_model
        self._server = ImageServer(base_url, api_key)
        self._options = dict(options or {})
        self._edit = edit
        self._model = model
        self._charge = charge or Charge(0)

    def __repr__(self) -> str:
        return f"OpenAIImages({self._server.host})"

    def models(self) -> list[ModelState]:
        """See Engine.models: what image_models.toml lists. A server may have others."""
        today = date.today()
        first = self._default or newest_model(today).name
        names = dict.fromkeys([first, *(model.name for model in image_models())])
        return [
            ModelState(name, image_model(name).advice(today) or "over the network", usable=True)
            for name in names
        ]

    def where(self) -> str:
        """See Engine.where."""
        return f"{self._server.host}, over the network"

    def generate(self, request: ImageRequest) -> Snapshots:
        """See Engine.generate. Closing it closes the connection.

        Raises:
            InvalidRequest: more pictures than the model draws in one call, or starts from.
            ProviderError: the server refused, failed, or sent no pictures.
        """
        request = request.settle()
        known = self._model if self._model and self._model.name == request.model else None
        model = known or self._server.model(request.model)
        try:
            _check(request, model, self._edit)
        except InvalidRequest:
            self._charge.settle(0)
            raise
        events: queue.SimpleQueue[Snapshot | None] = queue.SimpleQueue()
        latest = Snapshot(0, request.count)
        # The call runs in an event loop of its own, where it can be cancelled at any moment.
        with start_blocking_portal() as portal:
            call = portal.start_task_soon(self._ask, request, model, events.put)
            call.add_done_callback(lambda _: events.put(None))
            try:
                while True:
                    try:
                        event = events.get(timeout=PULSE_SECONDS)
                    except queue.Empty:
                        event = latest
                    if event is None:
                        call.result()  # raises what went wrong
                        return
                    latest = event
                    yield latest
            finally:
                call.cancel()

    def close(self) -> None:
        """See Engine.close: it holds nothing between two requests."""

    async def _ask(self, request: ImageRequest, model: ImageModel, tell: Tell) -> None:
        fields = self._fields(request, model)
        try:
            async with self._server.client() as client:
                call = client.images.edit if self._edit else client.images.generate
                if model.partial_images:
                    try:
                        await self._stream(call, fields, request, model, tell)
                        return
                    except openai.BadRequestError as error:
                        if not _no_streams(error):
                            raise
                        # Refused, so nothing was drawn: it may be asked for whole pictures.
                await self._show(await call(**fields), request, model, tell)
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            if costs_nothing(error):
                self._charge.settle(0)
            # Without the cause: its text may repeat the key.
            raise provider_error(error, request.model, self._server.host) from None

    async def _stream(
        self,
        call: Callable[..., Any],
        fields: Mapping[str, Any],
        request: ImageRequest,
        model: ImageModel,
        tell: Tell,
    ) -> None:
        partials = model.partial_images
        pictures = PictureStream(request.count, partials, lambda k: self._recipe(request, k))
        used: TokenCount | None = None
        async with await call(**fields, stream=True, partial_images=partials) as stream:
            if "event-stream" not in stream.response.headers.get("content-type", ""):
                # A server that does not stream answers at once, all the same.
                whole = _response(await stream.response.aread())
                await self._show(whole, request, model, tell)
                return
            async for event in stream:
                finished = str(getattr(event, "type", "")).endswith(".completed")
                picture = self._decoded(_text(event, "b64_json"))
                pictures.place(picture, getattr(event, "index", None), finished=finished)
                if finished:
                    used = used_of(event) + (used or TokenCount())
                if pictures.complete:
                    break
                tell(pictures.snapshot())
        if not pictures.finished:
            raise ProviderError(CUT_OFF)
        notes = self._notes(request, pictures.finished, model, used)
        tell(pictures.final(notes))

    async def _show(
        self, response: object, request: ImageRequest, model: ImageModel, tell: Tell
    ) -> None:
        if not isinstance(response, ImagesResponse):
            raise ProviderError(WEB_PAGE)  # the SDK returns what is no JSON as text
        data = response.data if isinstance(response.data, list) else []
        images: tuple[GeneratedImage, ...] = ()
        for k, item in enumerate(data[: request.count]):
            tell(Snapshot(k, request.count, images=images))
            picture = await self._picture(item)
            images += (GeneratedImage(picture, self._recipe(request, k)),)
        if not images:
            raise ProviderError(NO_PICTURE)
        notes = self._notes(request, len(images), model, used_of(response))
        tell(Snapshot(request.count, request.count, images=images, notes=notes))

    async def _picture(self, item: object) -> Image.Image:
        if encoded := _text(item, "b64_json"):
            return self._decoded(encoded)
        url = _text(item, "url")
        if not url:
            raise ProviderError(NO_PICTURE)
        # A server in our own network may keep its pictures there; a public one may not send us in.
        inside = await is_private(urlsplit(self._server.base_url).hostname or "")
        return picture_from_bytes(await fetch(url, anywhere=inside), keep_alpha=self._transparent)

    def _decoded(self, encoded: str) -> Image.Image:
        return picture_from_base64(encoded, keep_alpha=self._transparent)

    @property
    def _transparent(self) -> bool:
        return self._options.get("background") == "transparent"

    def _notes(
        self, request: ImageRequest, drawn: int, model: ImageModel, used: TokenCount | None
    ) -> tuple[str, ...]:
        """What came short, and what it cost; settles the charge."""
        few = f"The server drew {drawn} of {request.count} pictures."
        notes = [few] if drawn < request.count else []
        counted = used if used and used.total else None
        price = model.price(str(self._options.get("quality", "")), request.size)
        dollars = model.cost(counted) if counted else None
        if dollars is None and price is not None:
            dollars = price * drawn
        self._charge.settle(self._charge.dollars if dollars is None else dollars)
        bill = [f"{counted.total:,} tokens"] if counted else []
        bill += [say_dollars(dollars)] if dollars is not None else []
        return (*notes, f"This took {', '.join(bill)}.") if bill else tuple(notes)

    def _fields(self, request: ImageRequest, model: ImageModel) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "prompt": request.prompt,
            "model": request.model,
            "n": request.count,
            **self._options,
        }
        if request.size:
            fields["size"] = request.size
        if model.response_format:
            fields["response_format"] = "b64_json"
        if model.extras:
            names = ("seed", "negative_prompt", "temperature", "top_k", "guidance")
            extra = {name: getattr(request, name) for name in names}
            fields["extra_body"] = {k: v for k, v in extra.items() if v not in (None, "")}
        if self._edit:
            files = self._edit.picture_files()
            fields["image"] = files if len(files) > 1 else files[0]
            if mask := self._edit.mask_file():
                fields["mask"] = mask
        return fields

    def _recipe(self, request: ImageRequest, index: int) -> Recipe:
        versions = {"crayonbox": __version__, "openai": openai.__version__}
        engine = f"{self.name}.edit" if self._edit else self.name  # its pictures are not kept
        return Recipe(request, index, engine, versions=versions)


def _check(request: ImageRequest, model: ImageModel, edit: Edit | None) -> None:
    if request.count > model.most:
        number = "one picture" if model.most == 1 else f"{model.most} pictures"
        raise InvalidRequest(
            "count", f"{model.name} draws {number} at a time at most. Ask for fewer."
        )
    if edit and not model.inputs:
        raise InvalidRequest("model", f"{model.name} cannot change pictures. Choose another model.")
    if edit and len(edit.pictures) > model.inputs:
        number = "one picture" if model.inputs == 1 else f"{model.inputs} pictures"
        raise InvalidRequest("model", f"{model.name} starts from {number} at most. Take some away.")


def _no_streams(error: openai.BadRequestError) -> bool:
    """Whether a server refuses a request only because it was to be streamed."""
    return error.param in ("stream", "partial_images") or "stream" in error.message.lower()


def _response(body: bytes) -> object:
    try:
        return ImagesResponse.model_validate_json(body)
    except ValueError:
        return None


def _text(item: object, name: str) -> str:
    value = getattr(item, name, None)
    return value if isinstance(value, str) else ""
