"""The easel: status line, grid and recent strip, the same in every tab, and the watching of runs.

Knows no widgets of a tab, and nothing of how pictures are made: it shows what the studio has.
"""

from __future__ import annotations

import functools
import logging
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from dalle_app.engines import Engine
from dalle_app.errors import DalleError, InvalidRequest
from dalle_app.protection import visitor_from_cookies
from dalle_app.request import ImageRequest
from dalle_app.runs import Run
from dalle_app.studio import Studio
from dalle_app.ui.examples import Example
from dalle_app.ui.markup import (
    empty_markup,
    preview_markup,
    problem_markup,
    recent_markup,
    status_markup,
    tiles_markup,
)
from dalle_app.ui.status import starting, status_of_run
from dalle_app.ui.view import View
from dalle_app.ui.words import say

log = logging.getLogger(__name__)

Changes = dict[Any, Any]  # Gradio component -> its new value

# A click on anything with `data-pick` reaches Python as the event `pick` with that JSON.
_PICK = """
element.addEventListener('click', (event) => {
  const picked = event.target.closest('[data-pick]');
  if (picked) trigger('pick', JSON.parse(picked.dataset.pick));
});
"""


class Easel:
    """Builds its parts inside the current `gr.Blocks`, in two places: `problem` and the rest.

    Args:
        tab: keeps the runs of one visitor's tabs apart.
        side: of the empty grid.
        examples: what a visitor without runs is shown.
    """

    def __init__(
        self, studio: Studio, tab: str, side: int = 3, examples: tuple[Example, ...] = ()
    ) -> None:
        self.studio = studio
        self.tab = tab
        self.view = gr.State(View())
        self.stop = gr.Button(
            say("stop"), visible=False, render=False, elem_classes="stop", size="lg"
        )
        self.problem = _html("problem-place")
        self.status = _html("status-place")
        self.grid = _html("grid-place", empty_markup(side, examples))
        self.recent = _html("recent-place")
        self.parts = [self.problem, self.status, self.grid, self.recent, self.stop]

    def wire(self) -> None:
        """Connect Stop. The tab connects the rest, because it owns the widgets."""
        self.stop.click(self.stop_run, None, None, queue=False, api_visibility="private")

    def start(
        self, wanted: ImageRequest, view: View, asker: gr.Request, engine: Engine | None = None
    ) -> tuple[Run, Changes]:
        """Start a run for this visitor, and clear the easel for it.

        Raises:
            DalleError: as `Studio.start`.
        """
        run = self.studio.start(wanted, self.visitor(asker), engine)
        with view.lock:
            view.run, view.seed = "", str(run.request.seed)
            view.started.append(run)
        changes: Changes = {self.problem: problem_markup(""), self.stop: gr.update(visible=True)}
        if len(self.studio.live(run.visitor)) == 1:
            changes |= {self.status: status_markup(starting()), self.grid: preview_markup(run)}
        return run, changes

    def watch(self, view: View, asker: gr.Request) -> Iterator[Changes]:
        """Show this visitor's runs, oldest first, until none is being drawn.

        Where another event of the page does so already, it is left to that one.
        """
        with view.lock:
            watched, view.watched = view.watched, True
        if watched:
            yield {self.stop: gr.skip()}  # Gradio empties the outputs of what yields nothing
            return
        try:
            visitor = self.visitor(asker)
            seen: set[str] = set()
            while run := self._next(visitor, view, seen):
                seen.add(run.id)
                yield from self._watch_run(run, view)
                finished = [run for run in self.studio.runs(visitor) if run.over]
                yield {self.recent: recent_markup(finished)}
            yield {self.stop: gr.update(visible=False)}
        except BaseException:  # the page was closed, or a bug: the next event may watch again
            view.watched = False
            raise

    def reload(self, view: View, asker: gr.Request) -> tuple[Run | None, Changes]:
        """What a page that was just opened shows: the visitor's last run, or the empty easel."""
        runs = self.studio.runs(self.visitor(asker))
        changes: Changes = {self.recent: recent_markup([run for run in runs if run.over])}
        if not runs:
            return None, changes
        view.seed = str(runs[0].request.seed)
        live = [run for run in runs if not run.over]
        return runs[0], changes | self._show(live[-1] if live else runs[0])

    def bring_back(self, run_id: str, view: View) -> tuple[Run, Changes]:
        """An old run, whole.

        Raises:
            InvalidRequest: it is not kept any more.
        """
        run = self._run(run_id)
        view.run, view.seed = run.id, str(run.request.seed)
        return run, self._show(run)

    def reroll(self, run_id: str, k: int) -> ImageRequest:
        """The request for picture k of a run again, alone and with a new seed.

        Raises:
            InvalidRequest: it is not kept any more.
        """
        run = self._run(run_id)
        images = run.snapshot.images if run.snapshot else ()
        if not 0 <= k < len(images):
            raise InvalidRequest("prompt", say("gone"))
        return replace(images[k].recipe.request, count=1, seed=None)

    def stop_run(self, asker: gr.Request) -> None:
        """Stop the run that is being shown: the oldest."""
        for run in self.studio.live(self.visitor(asker))[:1]:
            run.stop()

    def visitor(self, asker: gr.Request) -> str:
        """Who asks, in this tab: the browser's cookie, or Gradio's session where there is none."""
        visitor = visitor_from_cookies(dict(asker.cookies)) or asker.session_hash or ""
        return f"{visitor}/{self.tab}"

    def guarded(self, event: Callable[..., Changes]) -> Callable[..., Changes]:
        """The event, with its errors told on the page: a person's in words, a bug by its id."""

        @functools.wraps(event)
        def told(*args: Any, **kwargs: Any) -> Changes:
            try:
                return event(*args, **kwargs)
            except DalleError as error:
                return {self.problem: problem_markup(str(error))}
            except Exception:
                bug = secrets.token_hex(4)
                log.exception("bug %s in the page's %s", bug, event.__name__)
                return {self.problem: problem_markup(say("fault", id=bug))}

        return told

    def _next(self, visitor: str, view: View, seen: set[str]) -> Run | None:
        """The oldest run to show: one that this page started (it may be over already), or a live
        one of another page of this visitor. None ends the watch.
        """
        with view.lock:
            runs = {run.id: run for run in [*view.started, *self.studio.live(visitor)]}
            fresh = [run for run in runs.values() if run.id not in seen]
            run = min(fresh, key=lambda run: run.created, default=None)
            view.started = [started for started in view.started if started is not run]
            view.watched = run is not None
        return run

    def _watch_run(self, run: Run, view: View) -> Iterator[Changes]:
        """The run as it is drawn, then as it ended, unless `view` is at another one."""
        said, shown = "", run.snapshot.images if run.snapshot else ()
        if not view.run:
            yield {self.grid: preview_markup(run), self.stop: gr.update(visible=True)}
        for snapshot in run.follow():
            changes: Changes = {}
            status = status_markup(status_of_run(run, len(self.studio.live(run.visitor)) - 1))
            if status != said:
                said = changes[self.status] = status
            if snapshot.images is not shown and not view.run:
                shown = snapshot.images
                changes[self.grid] = preview_markup(run)
            if changes:
                yield changes
        ended = {self.status: status_markup(status_of_run(run))}
        yield ended if view.run else self._show(run)

    def _show(self, run: Run) -> Changes:
        return {
            self.status: status_markup(status_of_run(run)),
            self.grid: tiles_markup(run) if run.over else preview_markup(run),
            self.problem: problem_markup(""),
        }

    def _run(self, run_id: str) -> Run:
        run = self.studio.run(run_id)
        if run is None:
            raise InvalidRequest("prompt", say("gone"))
        return run


def lay(part: Any) -> None:
    """Put a part that was made before into the current place of the page."""
    part.render()


def _html(name: str, value: str = "") -> gr.HTML:
    return gr.HTML(
        value, js_on_load=_PICK, apply_default_css=False, render=False, elem_classes=name
    )
