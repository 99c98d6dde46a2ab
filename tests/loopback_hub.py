"""A hub of models on loopback that speaks huggingface_hub's protocol, and its troubles on demand.

Shares no code with the app. Large files answer with a redirect to another host, and HEAD with their
SHA-256; small ones come at once, with git's hash, as the real hub's do.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = ".pt"  # suffix of the files that the hub keeps apart
HTML = b"<!doctype html><title>Log in to the network</title>"


class LoopbackHub(ThreadingHTTPServer):
    """Serves one repository.

    Attributes:
        files: contents by name.
        breaks: how often a file's next answers break off half-way, by name.
        status: a status to answer with instead of a file, by name.
        body: what is sent instead of a file, by name, while HEAD promises the file.
        portal: every address answers with a web page.
        gate: answers wait for it in the middle of a large file, if it is set up.
        reached: set once an answer has come to the gate.
        calls: requests so far, by method.
        bodies: files whose contents were asked for, by name.
        ranges: the Range headers so far.
    """

    daemon_threads = True

    def __init__(self, repository: str, files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repository, self.files = repository, dict(files)
        self.breaks: Counter[str] = Counter()
        self.status: dict[str, int] = {}
        self.body: dict[str, bytes] = {}
        self.portal = False
        self.gate: threading.Event | None = None
        self.reached = threading.Event()
        self.calls: Counter[str] = Counter()
        self.bodies: Counter[str] = Counter()
        self.ranges: list[str] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def loopback_hub(repository: str, files: Mapping[str, bytes]) -> Iterator[LoopbackHub]:
    with LoopbackHub(repository, files) as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            if hub.gate:
                hub.gate.set()
            hub.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LoopbackHub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        hub = self.server
        hub.calls[self.command] += 1
        if hub.portal:
            return self._send(200, HTML, {"Content-Type": "text/html"}, with_body)
        parts = self.path.strip("/").split("/")
        name = parts[-1]
        on_cdn = parts[0] == "cdn"
        known = ["/".join(parts[:2]), *parts[2:3]] == [hub.repository, "resolve"]
        if name in hub.status:
            return self._send(hub.status[name], b"", {}, with_body)
        found = name in hub.files and (on_cdn or (known and parts[3] in ("main", COMMIT)))
        if not found:
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound"}, with_body)
        content = hub.files[name]
        headers = {"X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if name.endswith(LARGE) and not on_cdn:
            headers["X-Linked-Etag"] = f'"{hashlib.sha256(content).hexdigest()}"'
            headers["X-Linked-Size"] = str(len(content))
            headers["Location"] = f"http://localhost:{hub.server_port}/cdn/{name}"
            return self._send(302, b"", headers, with_body)
        if with_body:
            hub.bodies[name] += 1
        git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        headers["ETag"] = f'"{git}"'
        content = hub.body.get(name, content)
        status, start = 200, 0
        if with_body and (asked := self.headers.get("Range")):
            hub.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            status = 206
        return self._send(status, content[start:], headers, with_body, name)

    def _send(
        self, status: int, body: bytes, headers: dict[str, str], with_body: bool, name: str = ""
    ) -> None:
        hub = self.server
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not with_body:
            return
        half = len(body) // 2
        self.wfile.write(body[:half])
        if name.endswith(LARGE) and hub.gate:
            self.wfile.flush()
            hub.reached.set()
            hub.gate.wait()
        if hub.breaks[name]:
            hub.breaks[name] -= 1
            self.close_connection = True
            return
        self.wfile.write(body[half:])
