"""What every request to `/v1` passes first: the rule of access, and a limit on its size.

Plain ASGI; knows no routes but that of the links, which are keys themselves.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dalle_app.access import Access, asked_from_here
from dalle_app.api.errors import ApiError
from dalle_app.api.links import ROUTE as LINKS

MAX_BODY = 256 * 1024  # bytes of JSON; two prompts of 4,000 characters need 50,000, escaped
UNREAD = "/images/edits"  # throws its body away as it comes


class Guard:
    """Answers a request with 401, 403 or 404 before anything is read of it, or lets it pass.

    One that passes has `state.visitor`, for the studio's limit on each: the key's holder, else the
    address it comes from. On this machine everybody is the owner, whom nothing limits.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                scope.setdefault("state", {})["visitor"] = self._admit(scope)
            except ApiError as refusal:
                await refusal.answer()(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _admit(self, scope: Scope) -> str:
        headers = Headers(scope=scope)
        address = scope["client"][0] if scope.get("client") else "nowhere"
        if self._access.mode == "off":
            raise ApiError(
                404, "The API is off here. Its owner turns it on with DALLE_API.", code="api_off"
            )
        if self._access.mode == "local":
            if asked_from_here(headers, address):
                return ""
            raise ApiError(
                403,
                "The API is open to this machine alone. Ask for 127.0.0.1 or localhost, or let "
                "the owner set DALLE_API to `open` or `keys`.",
                code="not_local",
            )
        if self._access.mode == "keys" and not _path(scope).startswith(f"{LINKS}/"):
            scheme, _, key = headers.get("authorization", "").partition(" ")
            holder = self._access.holder(key.strip()) if scheme.lower() == "bearer" else None
            if holder is None:
                raise ApiError(
                    401,
                    "This server wants a key of its own, as `Authorization: Bearer cb-…`. "
                    "Its owner can make you one.",
                    code="invalid_api_key",
                    headers={"WWW-Authenticate": "Bearer"},
                )
            return f"key of {holder}"
        return f"address {address}"


class BodyLimit:
    """Answers 413 to bodies beyond MAX_BODY, whether they announce their length or not."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _path(scope) == UNREAD:
            await self.app(scope, receive, send)
            return
        if int(Headers(scope=scope).get("content-length", "0")) > MAX_BODY:
            await _too_large().answer()(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY:
                raise _too_large()
            return message

        await self.app(scope, counted, send)


def _path(scope: Scope) -> str:
    """The path below `/v1`."""
    path, root = scope["path"], scope.get("root_path", "")
    return str(path.removeprefix(root))


def _too_large() -> ApiError:
    return ApiError(413, f"The body is larger than {MAX_BODY // 1024} kB.", code="body_too_large")
