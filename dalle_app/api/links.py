"""Pictures behind addresses that nobody can guess and that live an hour.

Files in one folder, so that a restart keeps them. Knows nothing of requests and recipes.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from pathlib import Path

from dalle_app.errors import StorageError

ROUTE = "/images/links"  # below /v1
LIFE = 3600.0  # seconds, as OpenAI's
_NAME = re.compile(r"[0-9a-f]{64}\.(png|jpeg|webp)")


class LinkFolder:
    """The pictures that have an address.

    Args:
        folder: made when first needed; every file in it belongs here.
        most_bytes: what all of them may take.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._lock = threading.Lock()

    def add(self, picture: bytes, format: str) -> str:
        """Keep an encoded picture for LIFE. Returns the name that `find` knows it by.

        Raises:
            StorageError: the folder is full or cannot be written.
        """
        name = f"{secrets.token_hex(32)}.{format}"
        try:
            with self._lock:
                self._folder.mkdir(parents=True, exist_ok=True)
                if self._sweep() + len(picture) > self._most_bytes:
                    raise StorageError(
                        "Too many pictures have an address already. Ask for `b64_json`, or wait: "
                        "an address lives an hour."
                    )
                (self._folder / name).write_bytes(picture)
        except OSError as error:
            raise StorageError(
                f"The picture could not be kept ({error.strerror}). Ask for `b64_json`."
            ) from error
        return name

    def find(self, name: str) -> tuple[bytes, float] | None:
        """A picture and the seconds it has left; None if there is none (any more)."""
        if not _NAME.fullmatch(name):
            return None
        file = self._folder / name
        try:
            left = file.stat().st_mtime + LIFE - time.time()
            return (file.read_bytes(), left) if left > 0 else None
        except FileNotFoundError:
            return None

    def _sweep(self) -> int:
        """Remove what is too old. Returns the bytes that stay."""
        stay = 0
        for file in self._folder.iterdir():
            facts = file.stat()
            if facts.st_mtime + LIFE <= time.time():
                file.unlink(missing_ok=True)
            else:
                stay += facts.st_size
        return stay
