"""Fetches published weights: resumed where they broke off, checked, whole or not at all.

Speaks to the hub through huggingface_hub; knows nothing of what is inside the files. A file grows
as `encoder.pt.<etag>.part` and gets its name when size and hash are the hub's. `hf_hub_download`
deletes what it has when it is interrupted, hence `http_get`, which it is built on.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import WeakFileLock, build_hf_headers

from dalle_app.engines.dalle_mini.checkpoint import Checkpoint
from dalle_app.engines.dalle_mini.hub_errors import checked_endpoint, hub_errors
from dalle_app.errors import FetchError

_PULSE = 0.5  # seconds between two reports
_SPEED_REPORTS = 20  # that the speed is measured over
_CHUNK = 256 * 1024  # bytes that are counted and kept at a time; huggingface_hub's 10 MiB stall


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fetch is.

    Attributes:
        done, total: bytes of all its files.
        speed: bytes per second that came of late, 0 while unknown.
        free: bytes that were free on the disk before it.
    """

    done: int
    total: int
    speed: float = 0.0
    free: int = 0

    @property
    def seconds_left(self) -> float | None:
        """Estimate to the end; None while unknown."""
        return (self.total - self.done) / self.speed if self.speed else None

    @property
    def outlook(self) -> str:
        """“1,939 MB to come, 20.4 GB of disk free”, to be said before the first byte."""
        left = f"{(self.total - self.done) / 1e6:,.0f} MB to come"
        return f"{left}, {self.free / 1e9:.1f} GB of disk free"

    def __str__(self) -> str:
        """“812 of 1,939 MB, 38.4 MB/s, 29 s left”."""
        said = f"{self.done / 1e6:,.0f} of {self.total / 1e6:,.0f} MB"
        if self.seconds_left is None:
            return said
        minutes, seconds = divmod(round(self.seconds_left), 60)
        left = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
        return f"{said}, {self.speed / 1e6:.1f} MB/s, {left} left"


def fetch(checkpoint: Checkpoint, endpoint: str | None = None) -> Generator[Progress]:
    """Fetch the files of a published checkpoint that are not there, with a report twice a second.

    Closing the generator stops; what has come stays, and the next fetch goes on from there. With
    all files there it ends at once and calls nobody. Of two processes that fetch the same, one
    waits.

    Args:
        endpoint: the hub's or a mirror's address; HF_ENDPOINT's if not given.

    Raises:
        FetchError: no room on the disk, no way to the hub, or not the files that it promised.
    """
    if not checkpoint.missing():
        return
    if checkpoint.source is None:
        raise FetchError(f"{checkpoint.name} comes with the program. Restore its files from there.")
    job = _Fetch(checkpoint, checkpoint.source, checked_endpoint(endpoint or constants.ENDPOINT))
    worker = threading.Thread(target=job.run, name=f"fetch-{checkpoint.name}", daemon=True)
    worker.start()
    reports = deque([(time.monotonic(), 0)], maxlen=_SPEED_REPORTS)
    try:
        while worker.is_alive():
            worker.join(_PULSE)
            reports.append((time.monotonic(), job.came))
            if job.total:
                yield Progress(job.done, job.total, _speed(reports), job.free)
    finally:
        job.stopped.set()
    if job.error is not None:
        raise job.error


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A file to fetch, as the hub describes it. `etag` is its SHA-256, or git's SHA-1."""

    path: Path
    name: str
    url: str
    commit: str
    etag: str
    size: int

    @property
    def part(self) -> Path:
        return self.path.with_name(f"{self.path.name}.{self.etag[:12]}.part")


class _Stopped(Exception):
    """The generator was closed."""


class _Fetch:
    """One fetch in its thread, and what its generator reads of it.

    Attributes:
        done, total: bytes of all files; `total` is 0 until the hub has told.
        came: bytes that came over the line in this run, unlike those that were there.
        free: bytes that were free on the disk at first.
        error: why it ended, at the end.
    """

    def __init__(self, checkpoint: Checkpoint, repository: str, endpoint: str) -> None:
        self._checkpoint, self._repository, self._endpoint = checkpoint, repository, endpoint
        self._host = urlsplit(endpoint).netloc
        self.done = self.came = self.total = self.free = 0
        self.error: Exception | None = None
        self.stopped = threading.Event()

    def run(self) -> None:
        """Fetch all; an error is kept for the generator to raise."""
        try:
            wanted = self._describe()
            self.free = self._check_disk(wanted)
            self.total = sum(file.size for file in wanted)
            for file in wanted:
                self._fetch(file)
        except _Stopped:
            return
        except OSError as error:
            self.error = FetchError(f"{self._checkpoint.folder} cannot be written: {error}.")
        except Exception as error:  # noqa: BLE001  # raised again in the caller's thread
            self.error = error

    def _describe(self) -> list[_Wanted]:
        """Ask the hub for sizes and hashes of what is missing, all of one commit."""
        sources = self._checkpoint.sources()
        wanted: list[_Wanted] = []
        for path in self._checkpoint.missing():
            name, revision = sources[path], wanted[0].commit if wanted else "main"
            url = hf_hub_url(self._repository, name, revision=revision, endpoint=self._endpoint)
            with hub_errors(self._host, name):
                found = get_hf_file_metadata(url, endpoint=self._endpoint)
            if not found.commit_hash or not found.etag or found.size is None:
                raise FetchError(
                    f"{self._host} answered, but not as a hub of models. Check HF_ENDPOINT and "
                    "whether the network asks for a login."
                )
            wanted.append(_Wanted(path, name, url, found.commit_hash, found.etag, found.size))
        return wanted

    def _check_disk(self, wanted: list[_Wanted]) -> int:
        """Bytes that are free, if they suffice."""
        folder = self._checkpoint.folder
        folder.mkdir(parents=True, exist_ok=True)
        there = sum(file.part.stat().st_size for file in wanted if file.part.is_file())
        need, free = sum(file.size for file in wanted) - there, shutil.disk_usage(folder).free
        if need > free:
            raise FetchError(
                f"{self._checkpoint.name} needs {need / 1e9:.1f} GB more on the disk of "
                f"{folder.absolute()}, and {free / 1e9:.1f} GB are free. Make room, or point "
                "DALLE_MODELS_DIR to a larger disk."
            )
        return free

    def _fetch(self, file: _Wanted) -> None:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        begun = self.done
        with WeakFileLock(file.path.with_name(f".{file.path.name}.lock")):
            if not file.path.is_file():  # another process may have fetched it meanwhile
                self._fill(file)
                self._verify(file)
                file.part.replace(file.path)
        self.done = begun + file.size

    def _fill(self, file: _Wanted) -> None:
        """Bring the part to its full size: from huggingface_hub's own cache, or the hub."""
        cached = try_to_load_from_cache(self._repository, file.name, revision=file.commit)
        if isinstance(cached, str):
            shutil.copyfile(cached, file.part)
            return
        # It is left so: a fetch that was stopped may still be ending beside the next one.
        constants.DOWNLOAD_CHUNK_SIZE = _CHUNK
        with file.part.open("ab") as stream, hub_errors(self._host, file.name):
            try:
                http_get(
                    file.url,
                    stream,
                    resume_size=stream.tell(),
                    headers=build_hf_headers(),
                    expected_size=file.size,
                    tqdm_class=cast(Any, partial(_Counter, self)),
                )
            except OSError as error:
                if error.errno is not None or isinstance(error, HfHubHTTPError):
                    raise
                # Another size than the hub promised, which `_verify` says better.

    def _verify(self, file: _Wanted) -> None:
        """Compare with what the hub promised; a wrong file is deleted, so that none is resumed."""
        if _is_promised(file):
            return
        with file.part.open("rb") as stream:
            what = "a web page" if stream.read(64).lstrip().startswith(b"<") else "damaged"
        file.part.unlink()
        raise FetchError(
            f"What {self._host} sent as {file.name} is {what}, and was deleted. Fetch again; if it "
            "comes back, try another HF_ENDPOINT."
        )


class _Counter:
    """What http_get takes for a progress bar: counts into a fetch, and stops it."""

    def __init__(self, fetch: _Fetch, *, initial: int, **_: object) -> None:
        self._fetch = fetch
        self._fetch.done += initial  # from an earlier run

    def update(self, size: int) -> None:
        """So many bytes more have come; fewer than none where a server starts a file anew."""
        self._fetch.done += size
        self._fetch.came += max(size, 0)
        if self._fetch.stopped.is_set():
            raise _Stopped

    def __enter__(self) -> _Counter:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _is_promised(file: _Wanted) -> bool:
    """Whether a part has the hub's size, and its hash where the etag is one."""
    if file.part.stat().st_size != file.size:
        return False
    if len(file.etag) == 64:  # a large file's SHA-256
        digest = hashlib.sha256()
    elif len(file.etag) == 40:  # a small file's SHA-1 in git, which hashes a header first
        digest = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    else:
        return True
    with file.part.open("rb") as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest() == file.etag


def _speed(reports: Sequence[tuple[float, int]]) -> float:
    """Bytes per second between the first and the last report, 0 where nothing came."""
    (began, before), (now, done) = reports[0], reports[-1]
    return (done - before) / (now - began) if now > began else 0.0
