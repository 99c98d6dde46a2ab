"""The one seam: an engine turns a request into snapshots. And the one factory.

Knows no engine's insides. Studio, page, API and terminal know engines only through this protocol.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from dalle_app.request import ImageRequest, Snapshot
from dalle_app.settings import Settings

if TYPE_CHECKING:
    from dalle_app.engines.dalle_mini.hub import Progress
    from dalle_app.engines.dalle_mini.text import Reading
    from dalle_app.engines.edit import Edit
    from dalle_app.image_models import ImageModel
    from dalle_app.spending import Charge

Snapshots = Generator[Snapshot, None, None]  # closing one stops the work


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model that an engine offers.

    Attributes:
        name: what `ImageRequest.model` says, `pocket`.
        state: for the page, a few words: `ready`, `1.7 GB, not fetched`.
        usable: whether a request for it can start now.
        prompts: prompts that it is good at, for placeholders and examples.
        fetchable: whether its weights could be fetched, and are not here yet.
    """

    name: str
    state: str
    usable: bool
    prompts: tuple[str, ...] = ()
    fetchable: bool = False


class Engine(Protocol):
    """What every engine can do."""

    @property
    def name(self) -> str:
        """Short and lasting, for recipes: `dalle_mini`."""

    def models(self) -> list[ModelState]:
        """The models it offers, the default one first. Quick: reads no weights."""

    def where(self) -> str:
        """Where it draws and why there, for the foot of the page: `2 CPU cores: no CUDA device`."""

    def generate(self, request: ImageRequest) -> Snapshots:
        """Draw a settled request. The last snapshot has all pictures.

        A generator: closing it stops the work within one step and frees its place in the line.
        It yields at least twice a second, also while it waits, so that its caller can stop it.

        Raises:
            DalleError: with a text for the person; before the first snapshot or after any.
        """

    def close(self) -> None:
        """Stop all work and free the model. Safe to call twice."""


@runtime_checkable
class KeepsWeights(Protocol):
    """What an engine can do besides that has its models on this machine."""

    def reading(self, model: str, prompt: str) -> Reading:
        """What a model would read of a prompt. Quick: needs its vocabulary, not its weights.

        Raises:
            DalleError: no such model, or its vocabulary is not here.
        """

    def fetch(self, model: str) -> Generator[Progress]:
        """Fetch a model's published weights, with reports twice a second. Closing it stops.

        Raises:
            DalleError: no such model, or it does not fit, or it cannot be had.
        """


def build_local_engine(settings: Settings) -> Engine:
    """The DALL-E mini family, in this process. Loads its model in the background."""
    from dalle_app.engines.dalle_mini.engine import LocalEngine

    return LocalEngine(settings)


def build_api_engine(
    settings: Settings,
    base_url: str,
    api_key: str,
    *,
    options: Mapping[str, str | int] | None = None,
    edit: Edit | None = None,
    model: ImageModel | None = None,
    charge: Charge | None = None,
) -> Engine:
    """A client of any server that speaks the Images API, with a key for this use alone.

    Args: as `OpenAIImages` explains them.

    Raises:
        ProviderError: the address or the key cannot be one.
    """
    from dalle_app.engines.openai_images import OpenAIImages

    return OpenAIImages(
        settings,
        base_url=base_url,
        api_key=api_key,
        options=options,
        edit=edit,
        model=model,
        charge=charge,
    )
