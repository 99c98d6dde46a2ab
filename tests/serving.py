"""Runs an app on a free port of this machine, as `make run` would, in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from dalle_app.engines import Engine
from dalle_app.engines.dalle_mini.checkpoint import Checkpoint
from dalle_app.engines.dalle_mini.engine import LocalEngine
from dalle_app.serve import bind
from dalle_app.settings import Settings
from dalle_app.web import create_app


@dataclass(frozen=True)
class Served:
    """A running app."""

    url: str
    settings: Settings
    app: FastAPI


@contextmanager
def serve(engines: Sequence[Engine], settings: Settings) -> Iterator[Served]:
    """Serve the whole app; stops it and frees its engines at the end."""

    async def built() -> FastAPI:  # outside a loop, gradio opens one for every lock, closes none
        return create_app(settings, engines)

    with ThreadPoolExecutor(1) as elsewhere:  # this thread may hold the browser's own loop
        app = elsewhere.submit(asyncio.run, built()).result()
    with serve_asgi(app) as url:
        yield Served(url, settings, app)


@contextmanager
def serve_tiny(checkpoint: Checkpoint, folder: Path, **settings: Any) -> Iterator[Served]:
    """Serve the whole app with the local engine and one checkpoint as its `pocket`."""
    chosen = Settings(data_dir=folder / "data", models_dir=folder / "models", **settings)
    with serve([LocalEngine(chosen, {"pocket": checkpoint})], chosen) as served:
        yield served


@contextmanager
def serve_asgi(app: Any) -> Iterator[str]:
    """Serve any ASGI app; yields its address."""
    with bind("127.0.0.1", 0) as listening:
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), name="site")
        thread.start()  # requests wait in the socket until it is up
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
