"""What one open page looks at, and what its browser says was clicked.

Knows nothing of widgets: the events of a page share one `View`.
"""

from __future__ import annotations

import threading
from typing import Any

from dalle_app.runs import Run


class View:
    """What a page looks at; the object is one per page and shared by all its events.

    Attributes:
        run: id of the old run that was brought back, which the drawing ones must not cover; empty
            to follow what is being drawn.
        started: runs that this page started and has not shown yet.
        seed: the seed that the page itself last put into the seed box.
        watched: whether an event of this page is watching its runs already.
        lock: to be held where several of these change together.
    """

    def __init__(self) -> None:
        self.run = ""
        self.started: list[Run] = []
        self.seed = ""
        self.watched = False
        self.lock = threading.Lock()

    def __deepcopy__(self, memo: object) -> View:
        """Gradio copies the state's first value for every page; a lock cannot be copied."""
        return View()


def picked(data: Any) -> tuple[str, str, int]:
    """What was clicked, as the browser tells it: act, id of a run, number of a picture or example.

    Nothing of it is trusted: what is missing or of another type comes back empty, or as -1.
    """
    values = data if isinstance(data, dict) else {}
    act, run, k = values.get("act"), values.get("run"), values.get("k")
    return (
        act if isinstance(act, str) else "",
        run if isinstance(run, str) else "",
        k if isinstance(k, int) else -1,
    )
