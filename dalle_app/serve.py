"""Start the server: read the settings, build the engine, say where it is and on what it draws.

Knows nothing of routes or pictures.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from dalle_app.errors import DalleError, InvalidSetting
from dalle_app.settings import Settings

if TYPE_CHECKING:
    from dalle_app.engines import KeepsWeights

log = logging.getLogger(__name__)

LOG_SECONDS = 10.0  # between two lines about a fetch


def main() -> None:
    """Serve the page until interrupted. A DalleError ends it with its one sentence."""
    # Before gradio is imported: it asks this variable once. Nobody is told that we run.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for chatty in ("httpx", "httpx2"):  # they log whole addresses, and some are secrets
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        _serve()
    except DalleError as error:
        sys.exit(f"Crayonbox cannot start: {error}")


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens already; `::` listens on IPv4 too.

    Raises:
        InvalidSetting: the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server(
            (host, port), family=family, backlog=2048, dualstack_ipv6=host == "::"
        )
    except OSError as error:
        raise InvalidSetting(
            f"cannot listen on {host} port {port} ({error.strerror or error}). Stop what is there, "
            "or choose another one with GRADIO_SERVER_NAME and GRADIO_SERVER_PORT."
        ) from error


def address(host: str, port: int) -> str:
    """What to type into a browser on this machine."""
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def fetch_wanted(engine: KeepsWeights, model: str) -> None:
    """Fetch a published model while pages are served already, with a line in the log now and then.

    A failure is one more line: the app goes on with the models that it has.
    """
    told = 0.0
    try:
        for progress in engine.fetch(model):
            if time.monotonic() - told > LOG_SECONDS:
                log.info("fetching %s: %s", model, progress)
                told = time.monotonic()
        log.info("%s is ready", model)
    except DalleError as error:
        log.error("%s was not fetched: %s", model, error)


def _serve() -> None:
    from dalle_app.settings import settings_from_environment

    settings = settings_from_environment(os.environ)
    with bind(settings.host, settings.port) as listening:  # before the slow part
        _serve_on(listening, settings)


def _serve_on(listening: socket.socket, settings: Settings) -> None:
    import uvicorn

    from dalle_app.access import access_from_settings
    from dalle_app.engines import KeepsWeights, build_local_engine
    from dalle_app.web import create_app

    engine = build_local_engine(settings)
    if settings.fetch and isinstance(engine, KeepsWeights):
        wanted = (engine, settings.fetch)
        threading.Thread(target=fetch_wanted, args=wanted, name="fetch", daemon=True).start()
    app = create_app(settings, [engine])
    print(f"Crayonbox: {address(settings.host, settings.port)}")
    print(f"Drawing on {engine.where()}")
    print(access_from_settings(settings).sentence)
    models = engine.models()
    first = next((model for model in models if model.usable), models[0])
    print(f"Model: {first.name}", flush=True)

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # A page keeps a connection open for good. To cut it off is no error to report.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            await super().shutdown(sockets)

    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    with suppress(KeyboardInterrupt):  # uvicorn raises it again after an orderly end
        Server(config).run(sockets=[listening])
