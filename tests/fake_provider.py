"""An Images API server on loopback that behaves as told, well or badly. Knows none of the app.

Its answers are written from the openai package's types. The first part of the path says how it
behaves: `{url}/html/v1/images/generations` answers with a web page.
"""

from __future__ import annotations

import base64
import email
import io
import json
import queue
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 9},
    "output_tokens": 196,
    "total_tokens": 205,
}
STATUSES: dict[str, tuple[int, dict[str, object]]] = {
    "bad-key": (401, {"message": "Incorrect API key: sk-canary-1.", "code": "invalid_api_key"}),
    "forbidden": (403, {"message": "Your organization must be verified.", "code": None}),
    "no-model": (404, {"message": "The model does not exist", "code": "model_not_found"}),
    "no-route": (404, {"message": "Not Found", "code": None}),
    "unsafe": (400, {"message": "Your request was rejected", "code": "moderation_blocked",
                     "type": "image_generation_user_error"}),
    "old-unsafe": (400, {"message": "Rejected", "code": "content_policy_violation"}),
    "bad-field": (400, {"message": "Invalid value: 'huge' for size. Key sk-canary-1 is fine.",
                        "code": "invalid_value", "param": "size"}),
    "too-large": (413, {"message": "Too large", "code": None}),
    "busy": (429, {"message": "Rate limit reached", "code": "rate_limit_exceeded"}),
    "no-credit": (429, {"message": "You exceeded your quota", "code": "insufficient_quota"}),
    "down": (503, {"message": "Overloaded", "code": None}),
}  # fmt: skip


MODELS = [
    {"id": "gpt-image-2", "object": "model", "created": 1, "owned_by": "system"},
    {"id": "dall-e-2", "object": "model", "created": 1, "owned_by": "system",
     "shutdown_date": "2031-05-12"},
    {"id": "pocket", "object": "model", "created": 1, "owned_by": "crayonbox"},
    {"id": "text-only", "object": "model", "created": 1, "owned_by": "system"},
    {"id": 7}, {},
]  # fmt: skip


class FakeProvider:
    """What the server was asked, and the handle to let it answer.

    Attributes:
        asked: each request's (path, headers in lower case, JSON body). A form's files stand in
            the body as bytes, by their field's name, several as a list.
        go: a stream or a slow answer waits for it between two events.
        gone: set when a client closed the connection on a waiting answer.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: queue.SimpleQueue[tuple[str, dict[str, str], dict[str, Any]]]
        self.asked = queue.SimpleQueue()
        self.go = threading.Event()
        self.gone = threading.Event()

    def base(self, behaviour: str) -> str:
        """The base URL under which it behaves so."""
        return f"{self.url}/{behaviour}/v1"


@contextmanager
def fake_provider() -> Iterator[FakeProvider]:
    """Serve until the end of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    provider = FakeProvider(f"http://127.0.0.1:{server.server_port}")
    server.provider = provider  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield provider
    finally:
        provider.go.set()
        server.shutdown()
        thread.join()
        server.server_close()


def picture(colour: str = "teal", kind: str = "PNG", mode: str = "RGB") -> bytes:
    """A picture file, 16 × 16."""
    buffer = io.BytesIO()
    Image.new(mode, (16, 16), colour).save(buffer, format=kind)
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG of a few hundred bytes that would be 30,000 × 30,000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100_000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def form(kind: str, sent: bytes) -> dict[str, Any]:
    """A multipart form's fields: texts, and files as bytes; several of one name as a list."""
    message = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + sent)
    fields: dict[str, list[Any]] = {}
    for part in message.get_payload():
        name = part.get_param("name", header="content-disposition")
        value = part.get_payload(decode=True)
        fields.setdefault(name, []).append(value if part.get_filename() else value.decode())
    return {name: values if len(values) > 1 else values[0] for name, values in fields.items()}


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def provider(self) -> FakeProvider:
        return self.server.provider  # type: ignore[attr-defined,no-any-return]

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.provider.asked.put((self.path, self._headers(), {}))
        if self.path.endswith("/v1/models"):
            self._models(self.path.split("/")[1])
        elif self.path == "/files/teal.png":
            self._send(200, picture(), "image/png")
        elif self.path == "/files/endless.png":
            self._begin("image/png")
            for _ in range(64):
                self._chunk(b"\0" * 2**20)
            self._chunk(b"")
        elif self.path == "/files/moved.png":
            self._send(302, b"", "text/plain", Location="/files/teal.png")
        elif self.path == "/files/page.png":
            self._send(200, b"<html>signed out</html>", "text/html")
        else:
            self._send(404, b"", "text/plain")

    def _models(self, behaviour: str) -> None:
        if behaviour in STATUSES:
            self._refuse(behaviour)
        elif behaviour == "html":
            self._html({})
        elif behaviour == "empty":
            self._json(200, {"object": "list"})
        else:
            self._json(200, {"object": "list", "data": MODELS})

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["content-length"]))
        kind = self.headers["content-type"]
        body = json.loads(sent) if kind == "application/json" else form(kind, sent)
        self.provider.asked.put((self.path, self._headers(), body))
        behaviour = self.path.split("/")[1]
        if behaviour in STATUSES:
            self._refuse(behaviour)
        else:
            getattr(self, f"_{behaviour.replace('-', '_')}")(body)

    def _refuse(self, behaviour: str) -> None:
        status, error = STATUSES[behaviour]
        extra = {"Retry-After": "7"} if behaviour == "busy" else {}
        self._json(status, {"error": {"type": "some_error", "param": None, **error}}, **extra)

    def _ok(self, body: dict[str, Any]) -> None:
        colours = ["teal", "orange", "gold"]
        data = [{"b64_json": _b64(picture(colours[k % 3]))} for k in range(int(body["n"]))]
        self._json(200, {"created": 1, "data": data, "usage": USAGE})

    def _one(self, body: dict[str, Any]) -> None:
        self._json(200, {"created": 1, "data": [{"b64_json": _b64(picture())}]})

    def _many(self, body: dict[str, Any]) -> None:
        self._json(200, {"created": 1, "data": [{"b64_json": _b64(picture())}] * 30})

    def _webp(self, body: dict[str, Any]) -> None:
        data = "data:image/webp;base64," + _b64(picture("#00808000", "WEBP", "RGBA"))
        self._json(200, {"created": 1, "data": [{"b64_json": data}]})

    def _address(self, body: dict[str, Any]) -> None:
        """The prompt says which address the answer gives."""
        url = body["prompt"].replace("HERE", self.provider.url)
        self._json(200, {"created": 1, "data": [{"url": url}]})

    def _html(self, body: dict[str, Any]) -> None:
        self._send(200, b"<html>welcome</html>", "text/html")

    def _empty(self, body: dict[str, Any]) -> None:
        self._json(200, {"created": 1, "data": []})

    def _nothing(self, body: dict[str, Any]) -> None:
        self._json(200, {"created": 1})

    def _odd(self, body: dict[str, Any]) -> None:
        self._json(200, {"created": 1, "data": "pictures"})

    def _neither(self, body: dict[str, Any]) -> None:
        self._json(200, {"created": 1, "data": [{"revised_prompt": "x"}]})

    def _bad64(self, body: dict[str, Any]) -> None:
        self._json(200, {"created": 1, "data": [{"b64_json": "@@@"}]})

    def _text64(self, body: dict[str, Any]) -> None:
        self._json(200, {"created": 1, "data": [{"b64_json": _b64(b"<html>")}]})

    def _torn(self, body: dict[str, Any]) -> None:
        self._json(200, {"created": 1, "data": [{"b64_json": _b64(picture()[:60])}]})

    def _bomb(self, body: dict[str, Any]) -> None:
        self._json(200, {"created": 1, "data": [{"b64_json": _b64(bomb())}]})

    def _moved(self, body: dict[str, Any]) -> None:
        self._send(307, b"", "text/plain", Location="/ok/v1/images/generations")

    def _slow(self, body: dict[str, Any]) -> None:
        self._wait()
        self._one(body)

    def _cut(self, body: dict[str, Any]) -> None:
        self._begin("application/json")
        self._chunk(b'{"created": 1, "data": [')
        self.close_connection = True

    def _stream(self, body: dict[str, Any]) -> None:
        if not body.get("stream"):
            self._ok(body)
            return
        self._begin("text/event-stream")
        partials = int(body["partial_images"])
        kind = "image_edit" if "image" in body or "image[]" in body else "image_generation"
        for _ in range(int(body["n"])):
            for k, colour in enumerate(["red", "orange", "gold"][:partials]):
                if not self._wait():
                    return
                partial = {"b64_json": _b64(picture(colour)), "partial_image_index": k}
                self._event(f"{kind}.partial_image", partial)
            if not self._wait():
                return
            self._event(f"{kind}.completed", {"b64_json": _b64(picture("teal")), "usage": USAGE})
        self._chunk(b"")

    def _indexed(self, body: dict[str, Any]) -> None:
        """The pictures of a grid, the last one first."""
        self._begin("text/event-stream")
        for k in reversed(range(int(body["n"]))):
            done = {"b64_json": _b64(picture(["teal", "orange", "gold"][k])), "index": k}
            self._event("image_generation.completed", {**done, "usage": USAGE})
        self._chunk(b"")

    def _few(self, body: dict[str, Any]) -> None:
        self._begin("text/event-stream")
        self._event("image_generation.completed", {"b64_json": _b64(picture()), "usage": USAGE})
        self._chunk(b"")

    def _whole_only(self, body: dict[str, Any]) -> None:
        """Refuses to stream, as many a server does, and draws otherwise."""
        if body.get("stream"):
            error = {"message": "Unknown parameter.", "type": "invalid_request_error",
                     "param": "stream", "code": None}  # fmt: skip
            self._json(400, {"error": error})
        else:
            self._ok(body)

    def _stream_cut(self, body: dict[str, Any]) -> None:
        self._begin("text/event-stream")
        partial = {"b64_json": _b64(picture("red")), "partial_image_index": 0}
        self._event("image_generation.partial_image", partial)
        self.close_connection = True

    def _stream_ends(self, body: dict[str, Any]) -> None:
        self._begin("text/event-stream")
        self._chunk(b"")

    def _stream_unsafe(self, body: dict[str, Any]) -> None:
        self._begin("text/event-stream")
        error = {"message": "Rejected", "type": "image_generation_user_error",
                 "code": "moderation_blocked"}  # fmt: skip
        self._chunk(
            f"event: error\ndata: {json.dumps({'type': 'error', 'error': error})}\n\n".encode()
        )
        self._chunk(b"")

    def _event(self, kind: str, values: dict[str, Any]) -> None:
        event = {
            "type": kind,
            "created_at": 1,
            "size": "1024x1024",
            "quality": "low",
            "background": "opaque",
            "output_format": "png",
            **values,
        }
        self._chunk(f"event: {kind}\ndata: {json.dumps(event)}\n\n".encode())

    def _wait(self) -> bool:
        """Wait for `go`; False once the client has gone away."""
        self.connection.settimeout(0.02)
        while not self.provider.go.is_set():
            try:
                if not self.connection.recv(1):
                    self.provider.gone.set()
                    self.close_connection = True
                    return False
            except TimeoutError:
                continue
            except OSError:
                self.provider.gone.set()
                return False
        self.connection.settimeout(None)
        return True

    def _headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _json(self, status: int, value: object, **headers: str) -> None:
        self._send(status, json.dumps(value).encode(), "application/json", **headers)

    def _send(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self._write(body)

    def _begin(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, body: bytes) -> None:
        self._write(f"{len(body):x}\r\n".encode() + body + b"\r\n")

    def _write(self, data: bytes) -> None:
        try:
            self.wfile.write(data)
        except (ConnectionError, TimeoutError):
            self.close_connection = True
