"""Start the server: read the settings, build the engines, say where and on what it draws."""

from __future__ import annotations

import logging
import os
import sys

from dalle_app.errors import DalleError


def main() -> None:
    """Serve the page until interrupted. A DalleError ends it with its one sentence."""
    # Before gradio is imported: it asks these variables once. Nobody is told that we run.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        _serve()
    except DalleError as error:
        sys.exit(f"Crayonbox cannot start: {error}")


def _serve() -> None:
    import uvicorn

    from dalle_app.engines import build_local_engine
    from dalle_app.settings import settings_from_environment
    from dalle_app.web import create_app

    settings = settings_from_environment(os.environ)
    engine = build_local_engine(settings)
    app = create_app(settings, [engine])
    shown = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    print(f"Crayonbox: http://{shown}:{settings.port}")
    print(f"Drawing on {engine.where()}")
    print(f"Model: {settings.model}", flush=True)
    uvicorn.run(app, host=settings.host, port=settings.port, log_level="warning")
