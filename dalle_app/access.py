"""Who may use the Images API at `/v1`: nobody, this machine, everybody, or who holds a key.

Knows nothing of the API itself. `python -m dalle_app.access NAME` makes a key.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from dalle_app.errors import InvalidSetting
from dalle_app.settings import Settings

Mode = Literal["off", "local", "open", "keys"]
_ENTRY = re.compile(r"([\w.@-]{1,64}):([0-9a-f]{64})")
_SENTENCES: dict[Mode, str] = {
    "off": "The Images API at /v1 is off.",
    "local": "The Images API at /v1 is open to programs on this machine.",
    "open": "The Images API at /v1 is open to everyone who can reach this page.",
    "keys": "The Images API at /v1 is open to holders of a key.",
}


@dataclass(frozen=True, slots=True)
class Access:
    """The rule in force.

    Attributes:
        mode: `local` is `open` for as long as the server hears this machine alone.
        hashes: SHA-256 of every key, in hex, by its holder's name. Keys are 32 random bytes, so a
            plain hash of one cannot be turned back, and none is ever stored.
    """

    mode: Mode
    hashes: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def sentence(self) -> str:
        """For the page."""
        return _SENTENCES[self.mode]

    def holder(self, key: str) -> str | None:
        """The name of the key's holder; None if it is nobody's. Takes the same time for each."""
        given = hash_of_key(key)
        names = [name for name, own in self.hashes.items() if hmac.compare_digest(own, given)]
        return names[0] if names else None


def access_from_settings(settings: Settings) -> Access:
    """The rule that the settings ask for; `auto` is keys if there are any, else `local` or off.

    Raises:
        InvalidSetting: DALLE_API_KEYS cannot be read, or is needed and empty.
    """
    hashes = _hashes(settings.api_keys)
    if settings.api == "keys" and not hashes:
        raise InvalidSetting(
            "DALLE_API is `keys`, but DALLE_API_KEYS has none. "
            "`python -m dalle_app.access NAME` makes one."
        )
    if settings.api in ("off", "open"):
        return Access("off" if settings.api == "off" else "open")
    if hashes:
        return Access("keys", hashes)
    return Access("local" if is_loopback(settings.host) else "off")


def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, means this machine alone.

    Asked of the address that the server listens on; and of a request's Host header, which tells a
    web page that had its own name point at this machine, or a proxy that shows us to the world.
    """
    bare_ipv6 = host.count(":") > 1 and not host.startswith("[")
    try:
        name = host if bare_ipv6 else urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def asked_from_here(headers: Mapping[str, str], client: str) -> bool:
    """Whether a request was made on this machine, by someone at it.

    Its Host header alone does not prove that: a proxy in front of the app may call it by its
    loopback name. But a proxy says for whom it asks.

    Args:
        headers: with names in lower case, or that compare so.
        client: address of whoever asks; of a trusted proxy's client, where uvicorn knows it.
    """
    proxied = any(name in headers for name in ("forwarded", "x-forwarded-for", "x-real-ip"))
    return not proxied and is_loopback(client) and is_loopback(headers.get("host", ""))


def new_key() -> str:
    """A fresh key, `cb-` and 43 random letters, digits, `-` or `_`."""
    return f"cb-{secrets.token_urlsafe(32)}"


def hash_of_key(key: str) -> str:
    """What DALLE_API_KEYS holds of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def main(arguments: Sequence[str]) -> None:
    """Print a new key, and the entry by which the server will know it."""
    if len(arguments) != 1 or not _ENTRY.fullmatch(f"{arguments[0]}:{'0' * 64}"):
        sys.exit("Usage: python -m dalle_app.access NAME   (letters, digits and _ . @ -)")
    key = new_key()
    print(f"The key of {arguments[0]}, shown this once:\n  {key}")
    print("Add to DALLE_API_KEYS, with a comma between entries:")
    print(f"  {arguments[0]}:{hash_of_key(key)}")


def _hashes(text: str) -> dict[str, str]:
    hashes = {}
    for entry in text.replace(",", " ").split():
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise InvalidSetting(
                "DALLE_API_KEYS has an entry that is not NAME:HASH, as "
                "`python -m dalle_app.access NAME` prints it. Keys themselves do not belong there."
            )
        hashes[match[1]] = match[2]
    return hashes


if __name__ == "__main__":
    main(sys.argv[1:])
