"""Pictures from servers that are not to be trusted: base64 or an address to one RGB picture.

Knows nothing of the Images API. What is no picture, too large, or elsewhere than it may be is a
ProviderError.
"""

from __future__ import annotations

import base64
import binascii
import io
import ipaddress
import socket
import ssl
from collections.abc import Iterable

import anyio
import httpcore
from PIL import Image

from dalle_app.errors import ProviderError

MAX_BYTES = 50 * 10**6  # the Images API's own limit for pictures it takes
MAX_PIXELS = 2**25  # four times the largest picture that any model draws
FETCH_SECONDS = 60
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_PAPER = "white"  # behind transparent pixels


def picture_from_base64(text: str, *, keep_alpha: bool = False) -> Image.Image:
    """Decode a `b64_json`, with or without a `data:` prefix, as `picture_from_bytes` does.

    Raises:
        ProviderError: not base64, or not a picture.
    """
    body = "".join(text.rpartition(",")[2].split())
    if len(body) > MAX_BYTES * 4 // 3 + 4:
        raise _too_large()
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProviderError(
            "The server sent a damaged picture (not base64). Draw it again, or tell its owner."
        ) from error
    return picture_from_bytes(data, keep_alpha=keep_alpha)


def picture_from_bytes(data: bytes, *, keep_alpha: bool = False) -> Image.Image:
    """Decode a picture file to RGB; transparent places become white.

    Args:
        keep_alpha: decode one with transparent places to RGBA instead.

    Raises:
        ProviderError: not a whole PNG, JPEG, WebP or GIF, or too many pixels.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:  # known before any pixel is decoded
                raise _too_large()
            if picture.has_transparency_data:
                layer = picture.convert("RGBA")
                if keep_alpha:
                    return layer
                paper = Image.new("RGBA", layer.size, _PAPER)
                return Image.alpha_composite(paper, layer).convert("RGB")
            return picture.convert("RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large() from error
    except (OSError, ValueError, SyntaxError) as error:
        raise ProviderError(
            "The server sent something that is not a whole picture. Draw it again, or check the "
            "server's address."
        ) from error


async def fetch(url: str, *, anywhere: bool) -> bytes:
    """The bytes at an address that a server gave. Follows no redirect.

    Args:
        anywhere: also http, and addresses in private networks; else only https to public ones.

    Raises:
        ProviderError: not allowed, not there, too slow or too large.
    """
    scheme = url.partition(":")[0].lower()
    if scheme != "https" and not (anywhere and scheme == "http"):
        raise ProviderError(
            "The server put the picture at an address that is not https, so it was not fetched."
        )
    backend = httpcore.AnyIOBackend() if anywhere else _PublicNetwork()
    try:
        with anyio.fail_after(FETCH_SECONDS):
            async with (
                httpcore.AsyncConnectionPool(network_backend=backend) as pool,
                pool.stream("GET", url, headers={"User-Agent": "crayonbox"}) as response,
            ):
                if response.status != 200:
                    raise _gone(f"status {response.status}")
                body = bytearray()
                async for chunk in response.aiter_stream():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise _too_large()
                return bytes(body)
    except TimeoutError as error:
        raise _gone(f"nothing came in {FETCH_SECONDS} s") from error
    except _NETWORK_ERRORS as error:
        raise _gone(type(error).__name__) from error


async def is_private(host: str) -> bool:
    """Whether a host's name leads to this machine or a private network."""
    return not all(_public(address) for address in await _addresses(host))


_NETWORK_ERRORS = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    ssl.SSLError,
    OSError,
    ValueError,  # an address that cannot be parsed
)


class _PublicNetwork(httpcore.AnyIOBackend):
    """Connects to the very address that it has checked, so that DNS cannot change in between."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await _addresses(host)
        if not all(_public(address) for address in addresses):
            raise ProviderError(
                "The server put the picture at an address inside a private network, so it was not "
                "fetched."
            )
        return await super().connect_tcp(addresses[0], port, timeout, local_address, socket_options)


async def _addresses(host: str) -> list[str]:
    found = await anyio.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


def _public(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return ip.is_global and not ip.is_multicast


def _too_large() -> ProviderError:
    return ProviderError("The server sent a picture that is too large to open. Ask for less.")


def _gone(reason: str) -> ProviderError:
    return ProviderError(
        f"The server drew the picture, but it could not be fetched from there ({reason}). "
        "Draw it again."
    )
