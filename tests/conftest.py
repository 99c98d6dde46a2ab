"""What many tests share: a small random pocket, and the real app on a free port of this machine."""

from __future__ import annotations

import os

# Before anything imports gradio, which asks once.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost,::1"

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from serving import Served

    from dalle_app.engines.dalle_mini.checkpoint import Checkpoint

pytest_plugins = ("browser_fixtures",)

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def tiny_pocket(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A checkpoint laid out as pocket's, far smaller, with random weights."""
    from random_checkpoint import write_pocket_like

    from dalle_app.engines.dalle_mini.checkpoint import read_checkpoint

    folder: Path = tmp_path_factory.mktemp("weights")
    return read_checkpoint(write_pocket_like(folder / "pocket"), folder)


@pytest.fixture(scope="session")
def site(tiny_pocket: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The whole app with the small pocket, for all tests: none may count on an empty line."""
    from serving import serve_tiny

    with serve_tiny(tiny_pocket, tmp_path_factory.mktemp("site")) as served:
        yield served


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """The same weights under the name `tiny`, for tests of the engine alone."""
    from random_checkpoint import write_pocket_like

    from dalle_app.engines.dalle_mini.checkpoint import read_checkpoint

    folder: Path = tmp_path_factory.mktemp("checkpoints")
    return read_checkpoint(write_pocket_like(folder / "tiny"), folder)
