"""A server that speaks the Images API, and the key for it: its address, its client, its models.

Knows nothing of drawing. A key lives in here alone: not in a repr, a log, an error or a recipe.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import date

import anyio
import httpx2
import openai

from dalle_app import __version__
from dalle_app.engines.address import host_of, is_openai
from dalle_app.engines.provider_errors import WEB_PAGE, provider_error
from dalle_app.errors import ProviderError
from dalle_app.image_models import ImageModel, known_model

NO_KEY = "none"  # what a server without keys is sent
TIMEOUT = httpx2.Timeout(300, connect=10)
LIST_SECONDS = 20
MAX_LISTED = 500  # models that are read of a server's list
OURS = "crayonbox"  # who owns the models of another copy of this app
_KEY = re.compile(r"[!-~]{1,500}")
_NAME = re.compile(r"\S(.{0,198}\S)?")
_PICTURES = re.compile(r"image|dall-e")
_HEADERS = {"accept", "accept-encoding", "connection", "content-length", "content-type", "host"}


@dataclass(frozen=True)
class ImageServer:
    """Where to ask, and with whose key.

    Args:
        base_url: `https://api.openai.com/v1`.
        api_key: may be empty for a server that needs none.

    Raises:
        ProviderError: the address or the key cannot be one.
    """

    base_url: str
    api_key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", self.base_url.strip())
        key, openais = self.api_key.strip(), self.is_openai  # checks the address too
        if openais and not key:
            raise ProviderError("OpenAI needs a key. Type yours, or draw with a local model.")
        if key and not _KEY.fullmatch(key):
            raise ProviderError(
                "This is no key: it has spaces or letters that no key has. Copy it again."
            )
        object.__setattr__(self, "api_key", key or NO_KEY)

    @property
    def host(self) -> str:
        """Its name and port, for people: `127.0.0.1:8080`."""
        return host_of(self.base_url)

    @property
    def is_openai(self) -> bool:
        """Whether it is OpenAI itself, whose days and prices we know."""
        return is_openai(self.base_url)

    @property
    def keyless(self) -> bool:
        """Whether it is asked without a key."""
        return self.api_key == NO_KEY

    def model(self, name: str) -> ImageModel:
        """What is known here of a model before the server was asked."""
        return known_model(name, self.is_openai)

    def models(self) -> list[ImageModel] | None:
        """Ask for its models: what it says of them wins over what we know. Costs nothing.

        None where the server keeps no list. Blocks for LIST_SECONDS at most.

        Raises:
            ProviderError: it cannot be reached, refuses the key, or is no such server.
        """
        return anyio.run(self._models)

    def client(self) -> openai.AsyncOpenAI:
        """A client that asks once: a call that failed may have been billed, so none is repeated."""

        async def only_our_headers(request: httpx2.Request) -> None:
            # The SDK adds the owner's organisation, project and custom headers from the
            # environment. They must not travel with a visitor's key.
            for name in list(request.headers):
                if name.lower() not in _HEADERS and not name.lower().startswith("x-stainless"):
                    del request.headers[name]
            request.headers["Authorization"] = f"Bearer {self.api_key}"
            request.headers["User-Agent"] = f"crayonbox/{__version__}"

        return openai.AsyncOpenAI(
            api_key=self.api_key,
            organization="",
            project="",
            base_url=self.base_url,
            timeout=TIMEOUT,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(
                follow_redirects=False, event_hooks={"request": [only_our_headers]}
            ),
        )

    async def _models(self) -> list[ImageModel] | None:
        try:
            async with self.client() as client:
                # Not `models.list`: it stumbles over what is no JSON.
                answer = await client.with_options(timeout=LIST_SECONDS).get(
                    "/models", cast_to=object
                )
        except openai.NotFoundError:
            return None
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            # Without the cause: its text may repeat the key.
            raise provider_error(error, "its models", self.host) from None
        listed = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(listed, list):
            raise ProviderError(WEB_PAGE)
        models = [self._listed(entry) for entry in listed[:MAX_LISTED]]
        return [model for model in models if model is not None]

    def _listed(self, entry: object) -> ImageModel | None:
        """One entry of the list; None if it is no model for pictures, or not readable."""
        values = entry if isinstance(entry, dict) else {}
        name = values.get("id")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            return None
        model = self.model(name)
        if self.is_openai and not model.known and not _PICTURES.search(name):
            return None  # OpenAI's list holds every kind of model; others' hold what they draw with
        if values.get("owned_by") == OURS:
            model = replace(model, partial_images=3, inputs=0)
        day = _day(values.get("shutdown_date"))
        return model.shut_down(day) if day else model


def _day(text: object) -> date | None:
    try:
        return date.fromisoformat(text[:10]) if isinstance(text, str) else None
    except ValueError:
        return None
