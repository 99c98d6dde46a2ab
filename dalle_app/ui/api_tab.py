"""The tab “DALL·E 2 (API)”: what happens there.

Knows what a click means; the widgets are `ApiWidgets`', who may ask what server is `Connections`',
what a run looks like the easel's. A key goes from its box into one request and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import gradio as gr

from dalle_app.engines import build_api_engine
from dalle_app.engines.edit import VARIATIONS, Edit, edit_from_texts
from dalle_app.errors import DalleError, InvalidRequest
from dalle_app.image_models import ImageModel
from dalle_app.request import ImageRequest
from dalle_app.settings import Settings
from dalle_app.studio import Studio
from dalle_app.ui.api_form import Form, form_from_widgets
from dalle_app.ui.api_widgets import ApiWidgets
from dalle_app.ui.connection import Connection, Connections, is_from_here
from dalle_app.ui.easel import Changes, Easel
from dalle_app.ui.markup import problem_markup, render
from dalle_app.ui.view import View, picked
from dalle_app.ui.words import say

Listed = Mapping[str, ImageModel]  # what a server said of its models, by name; empty if not asked

# A key is among the inputs of every event here, so none of them is in Gradio's list of endpoints.
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


class ApiTab:
    """Builds the tab inside the current `gr.Tab`."""

    def __init__(self, studio: Studio, settings: Settings) -> None:
        self.studio = studio
        self.settings = settings
        self.connections = Connections(settings, studio)
        self.easel = Easel(studio, "api", side=1)
        self.listed = gr.State({})
        self.widgets = ApiWidgets(self.connections, settings, self.easel)

    def wire(self, page: gr.Blocks) -> None:
        """Connect the widgets with the studio; `LocalTab.wire` says why so little is queued."""
        easel, widgets = self.easel, self.widgets
        values = [*widgets.form, self.listed, easel.view]
        fitting = [widgets.model, *widgets.fitted]

        def drawing(event: Callable[..., Any], handler: Callable[..., Changes]) -> None:
            shown = [widgets.prompt, *fitting, *easel.parts]
            settled = [widgets.folding, widgets.price, easel.problem]
            often: dict[str, Any] = {"trigger_mode": "multiple", **_QUIET}
            event(
                easel.guarded(handler), values, shown, queue=False, **often
            ).then(
                easel.watch, [easel.view], easel.parts, **often
            ).then(
                easel.guarded(self.settle), values, settled, queue=False, **often
            )  # fmt: skip

        drawing(widgets.draw.click, self.start)
        drawing(widgets.prompt.submit, self.start)
        drawing(widgets.editing.edit, self.edit)
        drawing(easel.grid.pick, self.pick)
        drawing(easel.recent.pick, self.pick)
        drawing(page.load, self.open)

        def choosing(event: Callable[..., Any], handler: Callable[..., Changes]) -> None:
            shown = [*fitting, *widgets.card, self.listed, easel.problem]
            event(easel.guarded(handler), values, shown, queue=False, **_QUIET)

        for widget in (widgets.model, widgets.format):
            choosing(widget.input, self.fit)
        for widget in (widgets.size, widgets.quality, widgets.number):
            choosing(widget.input, self.reckon)
        choosing(widgets.where.input, self.move)
        for event in (widgets.check.click, widgets.key.submit, widgets.address.submit):
            choosing(event, self.connect)
        easel.wire()

    # --- What is drawn ---------------------------------------------------------------------------

    def start(self, asker: gr.Request, *values: Any) -> Changes:
        """Draw what stands in the widgets."""
        form, listed, view = _read(values)
        wanted = form.request(self._known(form, listed))
        return self._drawn(form, listed, wanted, view, asker)

    def edit(self, asker: gr.Request, event: gr.EventData, *values: Any) -> Changes:
        """Change the pictures of the edit card, or make variations of the first."""
        form, listed, view = _read(values)
        sent = event._data if isinstance(event._data, dict) else {}
        pictures = sent.get("pictures")
        pictures = pictures if isinstance(pictures, list) else []
        if sent.get("act") == "variations":
            edit, prompt = edit_from_texts(pictures[:1], ""), VARIATIONS
        else:
            edit, prompt = edit_from_texts(pictures, sent.get("mask")), ""
        wanted = form.request(self._known(form, listed), prompt)
        return self._drawn(form, listed, wanted, view, asker, edit)

    def pick(self, asker: gr.Request, event: gr.EventData, *values: Any) -> Changes:
        """A click inside the grid or the strip: an old run, or one picture again."""
        form, listed, view = _read(values)
        act, run_id, k = picked(event._data)
        if act == "reroll":
            wanted = self.easel.reroll(run_id, k)
            where = self._drawer(run_id, k) or form.where
            form = replace(form, where=where, model=wanted.model, size=wanted.size, number=1)
            return self._drawn(form, listed, wanted, view, asker)
        run, changes = self.easel.bring_back(run_id, view)
        return changes | self._filled(run.request, form, listed, asker)

    def open(self, asker: gr.Request, *values: Any) -> Changes:
        """The page was opened: the last run comes back."""
        form, listed, view = _read(values)
        run, changes = self.easel.reload(view, asker)
        return changes | (self._filled(run.request, form, listed, asker) if run else {})

    def _drawn(
        self,
        form: Form,
        listed: Listed,
        wanted: ImageRequest,
        view: View,
        asker: gr.Request,
        edit: Edit | None = None,
    ) -> Changes:
        connection = self._connection(form, asker)
        server = connection.server
        if server is None:
            if edit:
                raise InvalidRequest("model", say("edit_here"))
            return self.easel.start(wanted, view, asker)[1]
        known, charge = self._known(form, listed), None
        if server.is_openai:
            visitor = self.easel.visitor(asker)
            purse = self.connections.purse(visitor, form.limit, connection.owners)
            charge = purse.reserve(form.price(known) or 0)
        try:
            engine = build_api_engine(
                self.settings,
                server.base_url,
                server.api_key,
                options=form.options(known),
                edit=edit,
                model=known,
                charge=charge,
            )
            return self.easel.start(wanted, view, asker, engine)[1]
        except DalleError:
            if charge:
                charge.settle(0)
            raise

    def _drawer(self, run_id: str, k: int) -> str:
        """`here` if this app drew picture k of a run, empty if a server did.

        Raises:
            InvalidRequest: it was made from pictures, which are not kept.
        """
        run = self.studio.run(run_id)
        images = run.snapshot.images if run and run.snapshot else ()
        engine = images[k].recipe.engine if k < len(images) else ""
        if engine.endswith(".edit"):
            raise InvalidRequest("prompt", say("reroll_edit"))
        return "" if engine.startswith("openai_images") else "here"

    # --- What the widgets show -------------------------------------------------------------------

    def fit(self, asker: gr.Request, *values: Any) -> Changes:
        """Another model or format was chosen: show what it has, and the price."""
        form, listed, _ = _read(values)
        return self._fitted(form, listed, asker)

    def reckon(self, asker: gr.Request, *values: Any) -> Changes:
        """Something that the price depends on was chosen."""
        form, listed, _ = _read(values)
        return self._price(form, listed, asker)

    def move(self, asker: gr.Request, *values: Any) -> Changes:
        """Another connection was chosen: its models, and the boxes that it needs."""
        form, _, _ = _read(values)
        offered = self.connections.models(form.where)
        form = replace(form, model=next(iter(offered), form.model))
        changes = self.widgets.offer(offered, form.model) | self.widgets.move(form.where)
        changes |= {self.easel.problem: problem_markup("")}  # it was about the other one
        if form.where == "here":
            changes |= self.widgets.fold(self._connection(form, asker))
        return changes | self._fitted(form, {}, asker) | {self.listed: {}}

    def connect(self, asker: gr.Request, *values: Any) -> Changes:
        """Ask the server for its models, and fold the card if it answers."""
        form, _, _ = _read(values)
        try:
            connection = self._connection(form, asker)
            found = connection.server.models() if connection.server else None
        except DalleError as error:
            return {self.widgets.told: problem_markup(str(error))}
        listed = {model.name: model for model in found or []}
        offered = listed or self.connections.models(form.where)
        if form.model not in offered:
            form = replace(form, model=next(iter(offered)))
        said = say("connected_models", count=len(listed)) if listed else say("connected_no_list")
        changes = self.widgets.offer(offered, form.model) | self.widgets.fold(connection)
        changes |= {self.listed: listed, self.widgets.told: render("note", text=said)}
        return changes | self._fitted(form, listed, asker)

    def settle(self, asker: gr.Request, *values: Any) -> Changes:
        """A run is over: what was spent, and the card folded if the connection worked."""
        form, listed, _ = _read(values)
        changes = self._price(form, listed, asker)
        runs = self.studio.runs(self.easel.visitor(asker), limit=1)
        if runs and runs[0].state == "done":
            changes |= self.widgets.fold(self._connection(form, asker))
        return changes

    def _filled(
        self, wanted: ImageRequest, form: Form, listed: Listed, asker: gr.Request
    ) -> Changes:
        """The widgets as a request says, as far as the chosen connection has its model."""
        widgets = self.widgets
        changes: Changes = {widgets.prompt: wanted.prompt}
        if (wanted.model in self.connections.models("here")) != (form.where == "here"):
            return changes
        form = replace(form, model=wanted.model, size=wanted.size, number=wanted.count)
        return changes | {widgets.model: wanted.model} | self._fitted(form, listed, asker)

    def _fitted(self, form: Form, listed: Listed, asker: gr.Request) -> Changes:
        return self.widgets.fit(form, self._known(form, listed), self._spent(asker))

    def _price(self, form: Form, listed: Listed, asker: gr.Request) -> Changes:
        known = self._known(form, listed)
        return {self.widgets.price: self.widgets.price_of(form, known, self._spent(asker))}

    def _spent(self, asker: gr.Request) -> float:
        return self.connections.spent(self.easel.visitor(asker))

    def _known(self, form: Form, listed: Listed) -> ImageModel:
        return self.connections.model(form.where, form.model, listed)

    def _connection(self, form: Form, asker: gr.Request) -> Connection:
        # Whoever comes through a proxy is not the owner, even if it calls us by our loopback name.
        host = asker.headers.get("host", "") if is_from_here(asker) else ""
        return self.connections.connect(form.where, form.address, form.key, host)


def _read(values: tuple[Any, ...]) -> tuple[Form, Listed, View]:
    """What every handler is given: the form's values, the models listed, the view."""
    *form, listed, view = values
    return form_from_widgets(form), listed or {}, view
