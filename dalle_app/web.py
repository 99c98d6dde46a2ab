"""The server: the page, its pictures and the health check in one FastAPI app.

The one place where settings, engines, studio and page are joined. Knows nothing of how a picture is
made.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import gradio as gr
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from dalle_app import __version__
from dalle_app.access import access_from_settings
from dalle_app.api import create_api
from dalle_app.api.links import LinkFolder
from dalle_app.engines import Engine
from dalle_app.pictures import picture_routes
from dalle_app.protection import BlockedRoutes, SecurityHeaders, VisitorCookie
from dalle_app.run_store import RunStore
from dalle_app.settings import Settings
from dalle_app.studio import Studio
from dalle_app.ui.page import build_page, look

STATIC = Path(__file__).parent.parent / "static"
SWEEP_SECONDS = 600

log = logging.getLogger(__name__)


def create_app(settings: Settings, engines: Sequence[Engine]) -> FastAPI:
    """Join everything. Closing the app's lifespan stops all runs and frees the engines."""
    store = RunStore(
        settings.data_dir / "runs", settings.keep_hours * 3600, settings.keep_megabytes * 10**6
    )
    if trouble := store.check():
        log.warning(trouble)
    studio = Studio(
        engines,
        store,
        queue_size=settings.queue_size,
        queue_per_visitor=settings.queue_per_visitor,
        max_pictures=settings.max_pictures,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async def sweep_now_and_then() -> None:
            while True:
                await anyio.sleep(SWEEP_SECONDS)
                try:
                    await anyio.to_thread.run_sync(store.sweep)
                except OSError as error:
                    log.warning("old runs could not be removed: %s", error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sweep_now_and_then)  # also where nobody draws any more
            yield
            tasks.cancel_scope.cancel()
        await anyio.to_thread.run_sync(studio.close)

    # No /docs or /openapi.json: what there is for programs stands in /v1/openapi.json.
    app = FastAPI(title="Crayonbox", version=__version__, lifespan=lifespan, openapi_url=None)
    app.add_middleware(VisitorCookie)
    app.add_middleware(BlockedRoutes)
    app.add_middleware(SecurityHeaders)

    @app.get("/healthz")
    def health() -> dict[str, str]:
        return {"status": "ok", "version": __version__}

    app.include_router(picture_routes(studio))
    links = LinkFolder(settings.data_dir / "links", settings.keep_megabytes * 10**6)
    api = create_api(studio, access_from_settings(settings), links)
    app.mount("/v1", api)
    app.mount("/look", StaticFiles(directory=STATIC))
    page = build_page(studio, settings)
    # A click starts a run or follows one, and neither computes anything. So the page's own queue is
    # wide, and the studio's limits decide who waits.
    page.queue(api_open=False, default_concurrency_limit=100, max_size=200)
    whole: FastAPI = gr.mount_gradio_app(
        app,
        page,
        path="/",
        show_error=False,  # a bug's text stays in the log
        run_history=False,  # it would write what is typed, keys too, into the browser
        ssr_mode=False,
        footer_links=[],
        **look(STATIC),
    )
    return whole
