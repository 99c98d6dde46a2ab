"""`/v1` alone, with an engine to order and a rule of access."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
from fastapi import FastAPI
from serving import serve_asgi

from dalle_app.access import Access
from dalle_app.api import create_api
from dalle_app.api.links import LinkFolder
from dalle_app.engines import Engine
from dalle_app.run_store import RunStore
from dalle_app.studio import Studio

LOCAL = Access("local")


@contextmanager
def serve_api(
    engine: Engine, folder: Path, access: Access = LOCAL, queue_size: int = 30
) -> Iterator[str]:
    """Serve it; yields the server's address, without `/v1`."""
    studio = Studio([engine], RunStore(folder / "runs", 3600, 10**8), queue_size=queue_size)
    app = FastAPI(openapi_url=None)
    links = LinkFolder(folder / "links", 10**8)
    app.mount("/v1", create_api(studio, access, links))
    with serve_asgi(app) as url:
        yield url


def client_of(url: str, key: str = "none is needed") -> openai.OpenAI:
    """OpenAI's own client, which asks once and checks every answer against its types."""
    return openai.OpenAI(
        base_url=f"{url}/v1", api_key=key, max_retries=0, _strict_response_validation=True
    )
