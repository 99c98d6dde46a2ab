"""Addresses of servers that speak the Images API: what is one, and whose it is.

Knows nothing of what is asked there.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from dalle_app.errors import ProviderError

OPENAI_URL = "https://api.openai.com/v1"


def host_of(base_url: str) -> str:
    """Name and port in a server's address, in lower case: `127.0.0.1:8080`.

    Raises:
        ProviderError: it is not the address of a server.
    """
    try:
        parts = urlsplit(base_url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.password:
        raise ProviderError(
            "The server's address must read like https://api.openai.com/v1, with no password in it."
        )
    return f"{host}:{port}" if port else host


def is_openai(base_url: str) -> bool:
    """Whether an address is OpenAI's own, whose models' days and prices we know.

    Raises:
        ProviderError: as `host_of`.
    """
    return host_of(base_url) == host_of(OPENAI_URL)
