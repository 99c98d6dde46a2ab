"""What every answer and every request passes through: headers, closed routes, the visitor's cookie.

Plain ASGI; knows nothing of pages or pictures.
"""

from __future__ import annotations

import re
import secrets

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "crayonbox_visitor"
_VISITOR = re.compile(r"[0-9a-f]{32}")

# Gradio needs inline scripts and styles, and compiles its templates with eval. Frames: a hosted
# Space shows the app in a frame of the hub's page.
_POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self' https://huggingface.co https://*.hf.space",
    ]
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",  # links hold prompts
    "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
}

# Gradio's deep links write every input of a session, keys included, to a file that anyone with the
# link may read; its monitoring shows other visitors' traffic; its proxy fetches from elsewhere; its
# programs' interface is a second one beside /v1; and nothing on this page takes files or is edited
# in the browser.
BLOCKED = (
    "/monitoring",
    "/openapi.json",
    "/gradio_api/call",
    "/gradio_api/deep_link",
    "/gradio_api/dev",
    "/gradio_api/monitoring",
    "/gradio_api/process_recording",
    "/gradio_api/proxy=",
    "/gradio_api/runs",
    "/gradio_api/undo-vibe",
    "/gradio_api/upload",
    "/gradio_api/vibe",
)


class SecurityHeaders:
    """Adds HEADERS to every answer that has not set them itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


class BlockedRoutes:
    """Answers 404 for Gradio's routes that have no place here."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _blocked(scope["path"]):
            await PlainTextResponse("Not found", 404)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class VisitorCookie:
    """Gives every browser a random id of its own, which only it and this server know."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["type"] == "http" and scope["path"] == "/"
        if not is_page or visitor_from_cookies(Request(scope).cookies):
            await self.app(scope, receive, send)
            return
        # In a frame on another site only Secure, SameSite=None, partitioned cookies live.
        where = (
            "SameSite=None; Secure; Partitioned" if _over_https(Request(scope)) else "SameSite=Lax"
        )
        cookie = f"{COOKIE}={secrets.token_hex(16)}; Path=/; Max-Age=31536000; HttpOnly; {where}"

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("Set-Cookie", cookie)
            await send(message)

        await self.app(scope, receive, send_with_cookie)


def visitor_from_cookies(cookies: dict[str, str]) -> str:
    """The visitor's id; empty where the browser sends none of ours."""
    visitor = cookies.get(COOKIE, "")
    return visitor if _VISITOR.fullmatch(visitor) else ""


def _over_https(request: Request) -> bool:
    # Believed from anyone: who makes it up only mislabels a cookie of their own.
    forwarded = request.headers.get("x-forwarded-proto", "")
    return request.url.scheme == "https" or forwarded.split(",")[0].strip() == "https"


def _blocked(path: str) -> bool:
    return re.sub(r"/+", "/", path).startswith(BLOCKED)
