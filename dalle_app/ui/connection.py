"""Which server the API tab asks, with whose key, and what one may spend there.

The rules alone: knows no widgets. A key passes through and is not kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

from dalle_app.access import asked_from_here, is_loopback
from dalle_app.engines.address import host_of, is_openai
from dalle_app.errors import InvalidRequest, ProviderError
from dalle_app.image_models import ImageModel, image_models, known_model, newest_model
from dalle_app.settings import Settings
from dalle_app.spending import Purse
from dalle_app.studio import Studio
from dalle_app.ui.words import say

if TYPE_CHECKING:
    import gradio as gr

    from dalle_app.engines.image_server import ImageServer

Where = Literal["owner", "other", "here"]
MAX_PURSES = 10_000  # visitors whose spending is remembered; the longest unseen are forgotten


@dataclass(frozen=True)
class Connection:
    """A server and a key, both allowed.

    Attributes:
        server: None for this app itself, which is asked without a server between.
        owners: whether the key is the owner's.
    """

    where: Where
    server: ImageServer | None
    owners: bool = False

    @property
    def label(self) -> str:
        """“OpenAI · key for this visit only”."""
        if self.server is None:
            return say("connected_here")
        key = "connected_owner" if self.owners else "connected_key"
        if self.server.keyless:
            key = "connected_no_key"
        return say(key, host="OpenAI" if self.server.is_openai else self.server.host)


def is_from_here(asker: gr.Request) -> bool:
    """Whether a click came from this machine, and not through a proxy on it."""
    return asked_from_here(asker.headers, asker.client.host if asker.client else "")


class Connections:
    """Who may connect to what.

    On this machine alone (the app listens to it, and was asked by its name) whoever asks is the
    owner. Others may name the owner's server and those of DALLE_API_HOSTS; no address that they
    type can lead anywhere else, so into no private network either.
    """

    def __init__(self, settings: Settings, studio: Studio) -> None:
        self._settings = settings
        self._studio = studio
        self._hosts = frozenset(settings.api_hosts.replace(",", " ").lower().split())
        self._purses: OrderedDict[str, Purse] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def typing(self) -> bool:
        """Whether anybody may type an address at all."""
        return is_loopback(self._settings.host) or bool(self._hosts)

    @property
    def owners_server(self) -> str:
        """“OpenAI”, or the host of the server that the owner has chosen instead."""
        url = self._settings.openai_base_url
        return "OpenAI" if is_openai(url) else host_of(url)

    @property
    def has_key(self) -> bool:
        """Whether the owner has set a key."""
        return bool(self._settings.openai_api_key)

    @property
    def is_ready(self) -> bool:
        """Whether whoever opens the page may draw with the owner's key at once."""
        shared = self._settings.share_key == "yes" or is_loopback(self._settings.host)
        return self.has_key and shared

    def is_owner(self, host: str) -> bool:
        """Whether a request whose Host header says `host` comes from this machine."""
        return is_loopback(self._settings.host) and is_loopback(host)

    def may_use_owners_key(self, host: str) -> bool:
        """Whether such a request may be drawn with the owner's key."""
        return self.has_key and (self._settings.share_key == "yes" or self.is_owner(host))

    def connect(self, where: str, address: str, key: str, host: str) -> Connection:
        """The connection that the widgets ask for.

        Args:
            host: the Host header of the request.

        Raises:
            ProviderError: it is not allowed, or cannot be one.
        """
        from dalle_app.engines.image_server import ImageServer

        key = key.strip()
        if where == "here":
            return Connection("here", None)
        if where == "other":
            named = host_of(address)
            if not (self.is_owner(host) or named in self._hosts):
                raise ProviderError(say("server_not_allowed"))
            return Connection("other", ImageServer(address, key))
        owners = not key and self.may_use_owners_key(host)
        used = self._settings.openai_api_key if owners else key
        return Connection("owner", ImageServer(self._settings.openai_base_url, used), owners)

    def purse(self, visitor: str, limit: object, owners: bool) -> Purse:
        """A visitor's purse, with the cap that stands in the widget.

        With the owner's key the owner's cap holds, whatever is typed.

        Raises:
            InvalidRequest: the limit is no number.
        """
        if not isinstance(limit, int | float) or isinstance(limit, bool) or not 0 <= limit < 10**6:
            raise InvalidRequest("count", say("limit_not_a_number"))
        cap = min(limit, self._settings.visit_dollars) if owners else limit
        with self._lock:
            purse = self._purses.setdefault(visitor, Purse(cap))
            self._purses.move_to_end(visitor)
            while len(self._purses) > MAX_PURSES:
                self._purses.popitem(last=False)
        purse.cap = cap
        return purse

    def spent(self, visitor: str) -> float:
        """US dollars that a visitor has spent."""
        with self._lock:
            purse = self._purses.get(visitor)
        return purse.spent if purse else 0.0

    def models(self, where: str) -> dict[str, ImageModel]:
        """The models to choose from before a server was asked, the first one first."""
        if where == "here":
            return {
                model.name: ImageModel(model.name, sizes=(), inputs=0)
                for model in self._studio.models()
                if model.usable
            }
        first = self._settings.openai_model or newest_model(date.today()).name
        names = dict.fromkeys([first, *(model.name for model in image_models())])
        return {name: self.model(where, name, {}) for name in names}

    def model(self, where: str, name: str, listed: Mapping[str, ImageModel]) -> ImageModel:
        """What is known of a model: what its server said, else what our list says."""
        if name in listed:
            return listed[name]
        if where == "here":
            return ImageModel(name, sizes=(), inputs=0)
        return known_model(name, where == "owner" and is_openai(self._settings.openai_base_url))
