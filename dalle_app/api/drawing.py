"""The studio's generator in an event loop: stopped within a step when its client goes away.

Knows HTTP only as “is the client still there?”; what the pictures are turned into is delivery.py's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from anyio import CancelScope, CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from dalle_app.api.delivery import Delivery
from dalle_app.api.errors import api_error
from dalle_app.errors import EngineError
from dalle_app.request import ImageRequest, Snapshot
from dalle_app.studio import Studio

CLIENT_GONE = 499  # nginx's number for it; nobody reads this answer, but logs may


class Drawing:
    """One request being drawn.

    Args:
        visitor: who asks, for the studio's limit on each; empty is nobody in particular.
        threads: bounds the threads that all drawings together wait in.
    """

    def __init__(
        self, studio: Studio, request: ImageRequest, visitor: str, threads: CapacityLimiter
    ) -> None:
        self._snapshots = studio.draw(request, visitor)
        self._threads = threads

    async def answer(self, delivery: Delivery, client: Request) -> Response:
        """All pictures at once, as JSON.

        Raises:
            ApiError: the drawing failed.
        """
        async with aclosing(self._drawn()) as snapshots:
            while not (snapshot := await anext(snapshots)).final:
                if await client.is_disconnected():
                    return Response(status_code=CLIENT_GONE)
        body = await self._in_thread(delivery.answer, snapshot)
        return Response(body, media_type="application/json")

    async def stream(self, delivery: Delivery, previews: int) -> Response:
        """Server-sent events: up to `previews` states of every picture, then the pictures.

        Raises:
            ApiError: the drawing failed before its first snapshot. Later errors are events.
        """
        events = self._events(delivery, previews)
        await anext(events)  # until the drawing has begun, an error is a status
        return EventStream(events)

    async def _events(self, delivery: Delivery, previews: int) -> AsyncGenerator[bytes]:
        async with aclosing(self._drawn()) as snapshots:
            snapshot = await anext(snapshots)
            yield b": the drawing has begun\n\n"
            sent, shown = 0, snapshot.images
            try:
                while not snapshot.final:
                    due = snapshot.step * (previews + 1) >= snapshot.of * (sent + 1)
                    if due and sent < previews and snapshot.images is not shown:
                        yield await self._in_thread(delivery.partial, snapshot, sent)
                        sent, shown = sent + 1, snapshot.images
                    else:  # a comment, which keeps proxies from hanging up
                        yield f": step {snapshot.step} of {snapshot.of}\n\n".encode()
                    snapshot = await anext(snapshots)
                yield await self._in_thread(delivery.completed, snapshot)
            except Exception as error:  # noqa: BLE001  # the status is out: an event must say it
                yield b"event: error\ndata: %b\n\n" % bytes(api_error(error).answer().body)

    async def _in_thread(self, work: Callable[..., bytes], *arguments: object) -> bytes:
        return await to_thread.run_sync(work, *arguments, limiter=self._threads)

    async def _drawn(self) -> AsyncGenerator[Snapshot]:
        """The snapshots, the last one final. Closing this stops the work and waits for that.

        Raises:
            ApiError: what the studio raised, as the client is told it.
        """
        try:
            while snapshot := await to_thread.run_sync(
                next, self._snapshots, None, limiter=self._threads
            ):
                yield snapshot
                if snapshot.final:
                    return
            raise EngineError("The drawing ended before it was finished. Draw it again.")
        except Exception as error:
            raise api_error(error) from error
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(self._snapshots.close, limiter=self._threads)


class EventStream(StreamingResponse):
    """Server-sent events whose generator is closed as soon as the client is gone."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes]) -> None:
        # X-Accel-Buffering: a proxy that collects events before it passes them on spoils previews.
        super().__init__(events, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await self._events.aclose()
