"""What can go wrong between us and a hub of models, said for the person who asked for a file.

Knows no files and no checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from dalle_app.errors import FetchError


def checked_endpoint(endpoint: str) -> str:
    """The address of a hub, if it can be asked at all.

    Raises:
        FetchError: it is no address.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FetchError(
            f"HF_ENDPOINT is {endpoint!r}, which is no address. It must read like "
            "https://huggingface.co, or be left out."
        )
    return endpoint


@contextmanager
def hub_errors(host: str, name: str) -> Iterator[None]:
    """Turns huggingface_hub's and the network's errors into FetchErrors.

    Args:
        host: of the hub, for the text.
        name: of the file that is asked for.
    """
    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status == 404:
            raise FetchError(
                f"{host} has no {name}. Is HF_ENDPOINT a mirror of the hub?"
            ) from error
        if status in (401, 403):
            raise FetchError(f"{host} wants a login for {name}. Set HF_TOKEN.") from error
        raise FetchError(f"{host} answered with status {status}. Fetch again later.") from error
    except OfflineModeIsEnabled as error:
        raise FetchError("HF_HUB_OFFLINE forbids fetching. Unset it and fetch again.") from error
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise FetchError(
            f"There is no way to {host} ({error}). Check the network, or name a mirror in "
            "HF_ENDPOINT."
        ) from error
    except httpx2.HTTPError as error:
        raise FetchError(
            f"The way to {host} broke off at {name} ({type(error).__name__}). What has come is "
            "kept; fetch again to go on from there."
        ) from error
