"""Crayonbox: a self-hosted text-to-image page, and `generate` for Python programs.

Importing this package loads neither torch nor gradio nor openai; the modules that need them do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dalle_app.generation import generate

__all__ = ["__version__", "generate"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "generate":  # asked for, and only then imported with all that draws
        from dalle_app.generation import generate

        return generate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
