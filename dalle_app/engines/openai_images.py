"""The client of every server that speaks the Images API: OpenAI, LocalAI, a cluster of our own.

Knows no page. A key lives in its client alone: not in a repr, a log, an error or a recipe.
"""

from __future__ import annotations

import queue
import re
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
from dalle_app.engines.provider_errors import CUT_OFF, NO_PICTURE, WEB_PAGE, provider_error
from dalle_app.engines.remote_pictures import (
    fetch,
    is_private,
    picture_from_base64,
    picture_from_bytes,
)
from dalle_app.errors import InvalidRequest, ProviderError
from dalle_app.image_models import ImageModel, image_model, image_models
from dalle_app.recipe import Recipe
from dalle_app.request import GeneratedImage, ImageRequest, Snapshot
from dalle_app.settings import Settings

OPENAI_URL = "https://api.openai.com/v1"
NO_KEY = "none"  # what a server without keys is sent
PULSE_SECONDS = 0.4  # between two snapshots while the server is silent, so that a stop is heard
TIMEOUT = httpx2.Timeout(300, connect=10)
_KEY = re.compile(r"[!-~]{1,500}")
_HEADERS = {"accept", "accept-encoding", "connection", "content-length", "content-type", "host"}

Tell = Callable[[Snapshot], None]


class OpenAIImages:
    """An `Engine` (see dalle_app.engines) that asks a server.

    It asks once: a call that failed may have been billed, so none is repeated.

    Args:
        settings: the model that comes first.
        base_url: the server, `https://api.openai.com/v1`.
        api_key: for this engine alone; may be empty for a server that needs none.
        options: further fields of the Images API, `{"quality": "low"}`.

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
        options: Mapping[str, str] | None = None,
    ) -> None:
        self._default = settings.openai_model
        self._base_url, self._host = _checked_url(base_url)
        self._key = _checked_key(api_key, self._host)
        self._options = dict(options or {})

    def __repr__(self) -> str:
        return f"OpenAIImages({self._host})"

    def models(self) -> list[ModelState]:
        """See Engine.models: what image_models.toml lists. A server may have others."""
        today = date.today()
        names = dict.fromkeys([self._default, *(model.name for model in image_models())])
        return [
            ModelState(name, image_model(name).advice(today) or "over the network", usable=True)
            for name in names
        ]

    def where(self) -> str:
        """See Engine.where."""
        return f"{self._host}, over the network"

    def generate(self, request: ImageRequest) -> Snapshots:
        """See Engine.generate. Closing it closes the connection.

        Raises:
            InvalidRequest: more pictures than the model draws in one call.
            ProviderError: the server refused, failed, or sent no pictures.
        """
        request, model = request.settle(), image_model(request.model)
        if request.count > model.most:
            number = "one picture" if model.most == 1 else f"{model.most} pictures"
            raise InvalidRequest(
                "count", f"{model.name} draws {number} at a time at most. Ask for fewer."
            )
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
            async with self._client() as client:
                if model.partial_images and request.count == 1:
                    await self._stream(client, fields, request, tell)
                else:
                    response = await client.images.generate(**fields)
                    await self._show(response, request, tell)
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            # Without the cause: its text may repeat the key.
            raise provider_error(error, request.model, self._host) from None

    async def _stream(
        self, client: openai.AsyncOpenAI, fields: dict[str, Any], request: ImageRequest, tell: Tell
    ) -> None:
        partials = fields["partial_images"] = image_model(request.model).partial_images
        recipe = self._recipe(request, 0)
        async with await client.images.generate(**fields, stream=True) as stream:
            if "event-stream" not in stream.response.headers.get("content-type", ""):
                # A server that does not stream answers at once, all the same.
                await self._show(_response(await stream.response.aread()), request, tell)
                return
            seen = 0
            async for event in stream:
                finished = event.type == "image_generation.completed"
                picture = picture_from_base64(_text(event, "b64_json"))
                seen = partials + 1 if finished else min(seen + 1, partials)
                tell(Snapshot(seen, partials + 1, images=(GeneratedImage(picture, recipe),)))
                if finished:
                    return
        raise ProviderError(CUT_OFF)

    async def _show(self, response: object, request: ImageRequest, tell: Tell) -> None:
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
        few = f"The server drew {len(images)} of {request.count} pictures."
        notes = () if len(images) == request.count else (few,)
        tell(Snapshot(request.count, request.count, images=images, notes=notes))

    async def _picture(self, item: object) -> Image.Image:
        if encoded := _text(item, "b64_json"):
            return picture_from_base64(encoded)
        url = _text(item, "url")
        if not url:
            raise ProviderError(NO_PICTURE)
        # A server in our own network may keep its pictures there; a public one may not send us in.
        inside = await is_private(urlsplit(self._base_url).hostname or "")
        return picture_from_bytes(await fetch(url, anywhere=inside))

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
        if (
            not model.known
        ):  # OpenAI refuses fields that it does not know; others ignore or use them
            names = ("seed", "negative_prompt", "temperature", "top_k", "guidance")
            extra = {name: getattr(request, name) for name in names}
            fields["extra_body"] = {k: v for k, v in extra.items() if v not in (None, "")}
        return fields

    def _client(self) -> openai.AsyncOpenAI:
        async def only_our_headers(request: httpx2.Request) -> None:
            # The SDK adds the owner's organisation, project and custom headers from the
            # environment. They must not travel with a visitor's key.
            for name in list(request.headers):
                if name.lower() not in _HEADERS and not name.lower().startswith("x-stainless"):
                    del request.headers[name]
            request.headers["Authorization"] = f"Bearer {self._key}"
            request.headers["User-Agent"] = f"crayonbox/{__version__}"

        return openai.AsyncOpenAI(
            api_key=self._key,
            organization="",
            project="",
            base_url=self._base_url,
            timeout=TIMEOUT,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(
                follow_redirects=False, event_hooks={"request": [only_our_headers]}
            ),
        )

    def _recipe(self, request: ImageRequest, index: int) -> Recipe:
        versions = {"crayonbox": __version__, "openai": openai.__version__}
        return Recipe(request, index, self.name, versions=versions)


def _checked_url(base_url: str) -> tuple[str, str]:
    url = base_url.strip()
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.password:
        raise ProviderError(
            "The server's address must read like https://api.openai.com/v1, with no password in it."
        )
    return url, f"{host}:{port}" if port else host


def _checked_key(api_key: str, host: str) -> str:
    key = api_key.strip()
    if not key and host == urlsplit(OPENAI_URL).hostname:
        raise ProviderError("OpenAI needs a key. Type yours, or draw with a local model.")
    if key and not _KEY.fullmatch(key):
        raise ProviderError(
            "This is no key: it has spaces or letters that no key has. Copy it again."
        )
    return key or NO_KEY


def _response(body: bytes) -> object:
    try:
        return ImagesResponse.model_validate_json(body)
    except ValueError:
        return None


def _text(item: object, name: str) -> str:
    value = getattr(item, name, None)
    return value if isinstance(value, str) else ""
