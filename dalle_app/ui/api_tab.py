"""The tab “DALL·E 2 (API)”: its widgets, and what they do.

Knows the widgets; what a run looks like is the easel's, who may ask what server `Connections`',
what the widgets mean `Form`'s. A key goes from its box into one request and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import gradio as gr

from dalle_app.engines import build_api_engine
from dalle_app.engines.address import is_openai
from dalle_app.engines.edit import VARIATIONS, Edit, edit_from_texts
from dalle_app.errors import DalleError, InvalidRequest
from dalle_app.image_models import ImageModel
from dalle_app.recipe import Recipe
from dalle_app.request import ImageRequest
from dalle_app.settings import Settings
from dalle_app.studio import Studio
from dalle_app.ui.api_form import MAX_NUMBER, SHRINKING, WHOLE, Form, model_label, price_line
from dalle_app.ui.connection import Connection, Connections
from dalle_app.ui.easel import Changes, Easel, lay
from dalle_app.ui.markup import price_markup, problem_markup, render
from dalle_app.ui.view import View, picked
from dalle_app.ui.words import say

Listed = Mapping[str, ImageModel]  # what a server said of its models, by name; empty if not asked

_EDIT = "element.addEventListener('crayonbox-edit', (event) => trigger('edit', event.detail));"


class ApiTab:
    """Builds the tab's widgets inside the current `gr.Tab`."""

    def __init__(self, studio: Studio, settings: Settings) -> None:
        self.studio = studio
        self.settings = settings
        self.connections = Connections(settings, studio)
        self.easel = Easel(studio, "api", side=1)
        self.listed = gr.State({})
        self._build_prompt()
        self._build_controls()
        self._build_connection()
        self._build_options()
        self.editing = gr.HTML(
            render("edit"), js_on_load=_EDIT, apply_default_css=False, elem_classes="edit-place"
        )
        lay(self.easel.status)
        lay(self.easel.grid)
        lay(self.easel.recent)
        self.form = [
            self.prompt, self.model, self.size, self.quality, self.number,
            self.background, self.format, self.compression,
            self.where, self.address, self.key, self.limit,
        ]  # fmt: skip
        self.fitted = [
            self.size, self.quality, self.number,
            self.background, self.format, self.compression, self.options, self.price,
        ]  # fmt: skip

    def wire(self, page: gr.Blocks) -> None:
        """Connect the widgets with the studio. All of it is private: a key is among the inputs."""
        easel = self.easel
        values = [*self.form, self.listed, easel.view]
        shown = [self.prompt, self.model, self.where, *self.fitted, *easel.parts]

        def drawing(event: Any, handler: Any) -> None:
            event(easel.guarded(handler), values, shown, trigger_mode="multiple", **_QUIET).then(
                easel.watch, [easel.view], easel.parts, trigger_mode="multiple", **_QUIET
            ).then(
                easel.guarded(self.fold), values, [self.card, self.price, easel.problem], **_QUIET
            )

        drawing(self.draw.click, self.start)
        drawing(self.prompt.submit, self.start)
        drawing(self.editing.edit, self.edit)
        drawing(easel.grid.pick, self.pick)
        drawing(easel.recent.pick, self.pick)
        drawing(page.load, self.open)

        fitting = [self.model, *self.fitted, easel.problem]
        for widget in (self.model, self.format):
            widget.input(easel.guarded(self.fit), values, fitting, queue=False, **_QUIET)
        for widget in (self.size, self.quality, self.number):
            widget.input(easel.guarded(self.reckon), values, [self.price, easel.problem], queue=False, **_QUIET)
        card = [*fitting, self.listed, self.address, self.key, self.limit, self.check, self.card]
        self.where.input(
            easel.guarded(self.move), values, [*card, self.told], queue=False, **_QUIET
        )
        for event in (self.check.click, self.key.submit, self.address.submit):
            event(self.connect, values, [*card, self.told], **_QUIET)
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
            form = replace(form, where=self._drawer(run_id, k, form), model=wanted.model, number=1)
            return self._drawn(form, listed, wanted, view, asker)
        run, changes = self.easel.bring_back(run_id, view)
        return changes | self._filled(run.request, form, listed, view, asker)

    def open(self, asker: gr.Request, *values: Any) -> Changes:
        """The page was opened: the last run comes back."""
        form, listed, view = _read(values)
        run, changes = self.easel.reload(view, asker)
        return changes | (self._filled(run.request, form, listed, view, asker) if run else {})

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
        known = self._known(form, listed)
        charge = None
        if server.is_openai:
            purse = self.connections.purse(self.easel.visitor(asker), form.limit, connection.owners)
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

    def _drawer(self, run_id: str, k: int, form: Form) -> str:
        """Who is to draw picture k of a run again: this app if it did, else whoever is chosen."""
        recipe = self._recipe(run_id, k)
        if recipe.engine.endswith(".edit"):
            raise InvalidRequest("prompt", say("reroll_edit"))
        if not recipe.engine.startswith("openai_images"):
            return "here"
        return form.where

    def _recipe(self, run_id: str, k: int) -> Recipe:
        run = self.studio.run(run_id)
        if run is None or run.snapshot is None or not 0 <= k < len(run.snapshot.images):
            raise InvalidRequest("prompt", say("gone"))
        return run.snapshot.images[k].recipe

    # --- What the widgets show -------------------------------------------------------------------

    def fit(self, asker: gr.Request, *values: Any) -> Changes:
        """Another model or format was chosen: show what it has, and the price."""
        form, listed, _ = _read(values)
        return self._fitted(form, listed, asker)

    def reckon(self, asker: gr.Request, *values: Any) -> Changes:
        """Something that the price depends on was chosen."""
        form, listed, _ = _read(values)
        return {self.price: self._price(form, self._known(form, listed), asker)}

    def move(self, asker: gr.Request, *values: Any) -> Changes:
        """Another connection was chosen: its models, and the boxes that it needs."""
        form, _, _ = _read(values)
        offered = self.connections.models(form.where)
        form = replace(form, model=next(iter(offered), form.model))
        here = form.where == "here"
        return {
            **self._fitted(form, {}, asker),
            self.model: self._choices(offered, form.model),
            self.listed: {},
            self.address: gr.update(visible=form.where == "other"),
            self.key: gr.update(visible=not here),
            self.limit: gr.update(visible=self._at_openai(form)),
            self.check: gr.update(visible=not here),
            self.card: self._folded(self._connection(form, asker)) if here else gr.update(open=True, label=say("api_connection")),
            self.told: problem_markup(""),
        }

    def connect(self, asker: gr.Request, *values: Any) -> Changes:
        """Ask the server for its models, and fold the card if it answers."""
        form, _, _ = _read(values)
        try:
            connection = self._connection(form, asker)
            found = connection.server.models() if connection.server else None
        except DalleError as error:
            return {self.told: problem_markup(str(error))}
        listed = {model.name: model for model in found or []}
        offered = listed or self.connections.models(form.where)
        if form.model not in offered:
            form = replace(form, model=next(iter(offered), form.model))
        words = say("connected_models", count=len(listed)) if listed else say("connected_no_list")
        return {
            **self._fitted(form, listed, asker),
            self.model: self._choices(offered, form.model),
            self.listed: listed,
            self.card: self._folded(connection),
            self.told: render("note", text=words),
        }

    def fold(self, asker: gr.Request, *values: Any) -> Changes:
        """A run is over: the price it had, and the card folded if the connection worked."""
        form, listed, _ = _read(values)
        changes: Changes = {self.price: self._price(form, self._known(form, listed), asker)}
        runs = self.studio.runs(self.easel.visitor(asker), limit=1)
        if runs and runs[0].state == "done":
            changes[self.card] = self._folded(self._connection(form, asker))
        return changes

    def _filled(
        self, wanted: ImageRequest, form: Form, listed: Listed, view: View, asker: gr.Request
    ) -> Changes:
        """The widgets as a request says, as far as the chosen connection has its model."""
        changes: Changes = {self.prompt: wanted.prompt}
        here = wanted.model in self.connections.models("here")
        if here != (form.where == "here"):
            return changes
        number = min(wanted.count, MAX_NUMBER)
        form = replace(form, model=wanted.model, size=wanted.size, number=number)
        return changes | self._fitted(form, listed, asker) | {self.model: wanted.model}

    def _fitted(self, form: Form, listed: Listed, asker: gr.Request) -> Changes:
        """The widgets that depend on the model, each with what the model has or not there."""
        known = self._known(form, listed)
        size = form.size if form.size in known.sizes or (known.any_size and form.size) else ""
        form = replace(
            form,
            size=size or next(iter(known.sizes), ""),
            quality=_one_of(known.qualities, form.quality),
            number=min(form.number, known.most),
        )
        most = range(1, min(known.most, MAX_NUMBER) + 1)
        format = _one_of(known.formats, form.format)
        return {
            self.model: gr.skip(),
            self.size: _choice(known.sizes, form.size),
            self.quality: _choice(known.qualities, form.quality),
            self.number: gr.update(choices=list(most), value=form.number),
            self.background: _choice(known.backgrounds, form.background),
            self.format: _choice(known.formats, format),
            self.compression: gr.update(visible=format in SHRINKING),
            self.options: gr.update(visible=bool(known.backgrounds or known.formats)),
            self.price: self._price(form, known, asker),
        }

    def _price(self, form: Form, known: ImageModel, asker: gr.Request) -> str:
        spent = self.connections.spent(self.easel.visitor(asker))
        return price_markup(known, price_line(form, known, self._at_openai(form), spent))

    def _choices(self, offered: Mapping[str, ImageModel], chosen: str) -> Any:
        choices = [(model_label(model), name) for name, model in offered.items()]
        return gr.update(choices=choices, value=chosen)

    def _folded(self, connection: Connection) -> Any:
        return gr.update(open=False, label=say("connected", label=connection.label))

    def _known(self, form: Form, listed: Listed) -> ImageModel:
        return self.connections.model(form.where, form.model, listed)

    def _connection(self, form: Form, asker: gr.Request) -> Connection:
        host = asker.headers.get("host", "")
        return self.connections.connect(form.where, form.address, form.key, host)

    def _at_openai(self, form: Form) -> bool:
        return form.where == "owner" and is_openai(self.settings.openai_base_url)

    # --- The widgets -----------------------------------------------------------------------------

    def _build_prompt(self) -> None:
        with gr.Row(elem_classes="prompt-row"):
            self.prompt = gr.Textbox(
                label=say("prompt"),
                lines=1,
                max_lines=6,
                container=False,
                elem_id="api-prompt",
                html_attributes=gr.InputHTMLAttributes(autocomplete="off", enterkeyhint="go"),
                scale=1,
            )
            lay(self.easel.stop)
            self.draw = gr.Button(say("draw"), variant="primary", elem_classes="draw", size="lg")
        lay(self.easel.problem)

    def _build_controls(self) -> None:
        offered = self.connections.models("owner")
        first = next(iter(offered.values()))
        with gr.Row(elem_classes="controls api-controls"):
            self.model = gr.Dropdown(
                [(model_label(model), name) for name, model in offered.items()],
                value=first.name,
                label=say("api_model"),
                allow_custom_value=True,
                elem_id="api-model",
            )
            self.size = _dropdown("api_size", first.sizes, allow_custom_value=True)
            self.quality = _dropdown("api_quality", first.qualities)
            self.number = gr.Dropdown(
                list(range(1, first.most + 1)),
                value=1,
                label=say("api_number"),
                filterable=False,
                elem_id="api-number",
            )
        text = price_line(
            self._first_form(first), first, self._at_openai(self._first_form(first)), 0
        )
        self.price = gr.HTML(price_markup(first, text), apply_default_css=False)

    def _build_connection(self) -> None:
        connections, settings = self.connections, self.settings
        ready = connections.is_ready
        label = (
            say("connected", label=say("connected_owner", host=connections.owners_server))
            if ready
            else say("api_connection")
        )
        choices = [(connections.owners_server, "owner"), (say("api_here"), "here")]
        if connections.typing:
            choices.insert(1, (say("api_other"), "other"))
        with gr.Accordion(label, open=not ready, elem_classes="more connection") as self.card:
            self.where = gr.Radio(
                choices, value="owner", label=say("api_where"), elem_id="api-where"
            )
            self.address = gr.Textbox(
                label=say("api_base_url"),
                info=say("api_base_url_info"),
                placeholder="http://127.0.0.1:8080/v1",
                visible=False,
                max_lines=1,
                elem_id="api-base-url",
                html_attributes=gr.InputHTMLAttributes(autocomplete="off"),
            )
            self.key = gr.Textbox(
                label=say("api_key"),
                info=say("api_key_info"),
                placeholder=say("api_key_owner") if ready else "",
                type="password",
                max_lines=1,
                elem_id="api-key",
                html_attributes=gr.InputHTMLAttributes(autocomplete="off"),
            )
            self.limit = gr.Number(
                settings.visit_dollars,
                label=say("api_limit"),
                info=say("api_limit_info"),
                visible=is_openai(settings.openai_base_url),
                elem_id="api-limit",
            )
            self.check = gr.Button(say("api_check"), elem_id="api-check")
            self.told = gr.HTML(apply_default_css=False)

    def _build_options(self) -> None:
        first = next(iter(self.connections.models("owner").values()))
        there = bool(first.backgrounds or first.formats)
        with gr.Accordion(
            say("api_more"), open=False, visible=there, elem_classes="more"
        ) as self.options:
            self.background = _dropdown("api_background", first.backgrounds)
            self.format = _dropdown("api_format", first.formats)
            self.compression = gr.Slider(
                0, 100, WHOLE, step=1, label=say("api_compression"), visible=False
            )

    def _first_form(self, model: ImageModel) -> Form:
        size, quality = next(iter(model.sizes), ""), next(iter(model.qualities), "")
        return Form("", model.name, size, quality, 1, "", "", WHOLE, "owner", "", "", None)


_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}



def _read(values: tuple[Any, ...]) -> tuple[Form, Listed, View]:
    """What every handler is given: the form's values, the models listed, the view."""
    *form, listed, view = values
    return Form(*form), listed or {}, view


def _one_of(allowed: tuple[str, ...], value: str) -> str:
    return value if value in allowed else next(iter(allowed), "")


def _choice(allowed: tuple[str, ...], value: str) -> Any:
    """A widget's choices; it is hidden where there is nothing to choose."""
    if not allowed:
        return gr.update(visible=False)
    return gr.update(choices=list(allowed), value=value or allowed[0], visible=True)


def _dropdown(name: str, choices: tuple[str, ...], *, allow_custom_value: bool = False) -> Any:
    return gr.Dropdown(
        list(choices),
        value=next(iter(choices), None),
        label=say(name),
        visible=bool(choices),
        filterable=allow_custom_value,
        allow_custom_value=allow_custom_value,
        elem_id=name.replace("_", "-"),
    )
