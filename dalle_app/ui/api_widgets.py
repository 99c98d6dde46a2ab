"""The widgets of the tab “DALL·E 2 (API)”, and which of them a model or a connection needs.

Knows no events and no runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import gradio as gr

from dalle_app.engines.address import is_openai
from dalle_app.image_models import ImageModel
from dalle_app.settings import Settings
from dalle_app.ui.api_form import MAX_NUMBER, SHRINKING, WHOLE, Form, model_label, price_line
from dalle_app.ui.connection import Connection, Connections
from dalle_app.ui.easel import Changes, Easel, lay
from dalle_app.ui.markup import price_markup, render
from dalle_app.ui.words import say

# The edit card's script (static/edit.js) says with this event which pictures are to be changed.
_EDIT = "element.addEventListener('crayonbox-edit', (event) => trigger('edit', event.detail));"


class ApiWidgets:
    """Builds the widgets inside the current `gr.Tab`, the easel's parts among them.

    Attributes:
        form: what `Form` is made of, in its order.
        fitted: what depends on the model.
        card: what depends on the connection.
    """

    def __init__(self, connections: Connections, settings: Settings, easel: Easel) -> None:
        self._connections = connections
        self._settings = settings
        offered = connections.models("owner")
        first = next(iter(offered.values()))
        self._build_prompt(easel)
        self._build_controls(offered, first)
        self._build_connection()
        self._build_options(first)
        self.editing = gr.HTML(
            render("edit"), js_on_load=_EDIT, apply_default_css=False, elem_classes="edit-place"
        )
        lay(easel.status)
        lay(easel.grid)
        lay(easel.recent)
        self.form = [
            self.prompt, self.model, self.size, self.quality, self.number,
            self.background, self.format, self.compression,
            self.where, self.address, self.key, self.limit,
        ]  # fmt: skip
        self.fitted = [
            self.size, self.quality, self.number,
            self.background, self.format, self.compression, self.options, self.price,
        ]  # fmt: skip
        self.card = [self.address, self.key, self.limit, self.check, self.folding, self.told]

    def fit(self, form: Form, known: ImageModel, spent: float) -> Changes:
        """The widgets that depend on the model: each has what the model has, or is not there.

        Args:
            spent: US dollars, in this visit so far.
        """
        typed = form.size if known.any_size else ""
        form = replace(
            form,
            size=form.size if form.size in known.sizes else typed or next(iter(known.sizes), ""),
            quality=_one_of(known.qualities, form.quality),
            number=min(form.number, known.most, MAX_NUMBER),
            format=_one_of(known.formats, form.format),
        )
        most = range(1, min(known.most, MAX_NUMBER) + 1)
        return {
            self.size: _choice(known.sizes, form.size),
            self.quality: _choice(known.qualities, form.quality),
            self.number: gr.update(choices=list(most), value=form.number),
            self.background: _choice(known.backgrounds, form.background),
            self.format: _choice(known.formats, form.format),
            self.compression: gr.update(visible=form.format in SHRINKING),
            self.options: gr.update(visible=bool(known.backgrounds or known.formats)),
            self.price: self.price_of(form, known, spent),
        }

    def price_of(self, form: Form, known: ImageModel, spent: float) -> str:
        """The line on what this drawing costs."""
        return price_markup(known, price_line(form, known, self._at_openai(form.where), spent))

    def offer(self, offered: Mapping[str, ImageModel], chosen: str) -> Changes:
        """The models to choose from."""
        return {self.model: gr.update(choices=_labelled(offered), value=chosen)}

    def move(self, where: str) -> Changes:
        """The boxes that a connection needs."""
        return {
            self.address: gr.update(visible=where == "other"),
            self.key: gr.update(visible=where != "here"),
            self.limit: gr.update(visible=self._at_openai(where)),
            self.check: gr.update(visible=where != "here"),
            self.folding: gr.update(open=True, label=say("api_connection")),
            self.told: "",
        }

    def fold(self, connection: Connection) -> Changes:
        """The card of a connection that works: its name alone."""
        label = say("connected", label=connection.label)
        return {self.folding: gr.update(open=False, label=label)}

    def _at_openai(self, where: str) -> bool:
        return where == "owner" and is_openai(self._settings.openai_base_url)

    def _build_prompt(self, easel: Easel) -> None:
        with gr.Row(elem_classes="prompt-row"):
            self.prompt = gr.Textbox(
                label=say("prompt"),
                placeholder=say("api_placeholder"),
                lines=1,
                max_lines=6,
                container=False,
                elem_id="api-prompt",
                html_attributes=gr.InputHTMLAttributes(autocomplete="off", enterkeyhint="go"),
                scale=1,
            )
            lay(easel.stop)
            self.draw = gr.Button(say("draw"), variant="primary", elem_classes="draw", size="lg")
        lay(easel.problem)

    def _build_controls(self, offered: Mapping[str, ImageModel], first: ImageModel) -> None:
        with gr.Row(elem_classes="controls api-controls"):
            self.model = gr.Dropdown(
                _labelled(offered),
                value=first.name,
                label=say("api_model"),
                allow_custom_value=True,
                elem_id="api-model",
            )
            self.size = _dropdown("api_size", first.sizes, allow_custom_value=True)
            self.quality = _dropdown("api_quality", first.qualities)
            self.number = gr.Dropdown(
                list(range(1, min(first.most, MAX_NUMBER) + 1)),
                value=1,
                label=say("api_number"),
                filterable=False,
                elem_id="api-number",
            )
        size, quality = next(iter(first.sizes), ""), next(iter(first.qualities), "")
        form = Form("", first.name, size, quality, 1, "", "", WHOLE, "owner", "", "", None)
        self.price = gr.HTML(self.price_of(form, first, 0), apply_default_css=False)

    def _build_connection(self) -> None:
        connections, ready = self._connections, self._connections.is_ready
        choices = [(connections.owners_server, "owner"), (say("api_here"), "here")]
        if connections.typing:
            choices.insert(1, (say("api_other"), "other"))
        owners = say("connected_owner", host=connections.owners_server)
        label = say("connected", label=owners) if ready else say("api_connection")
        no_history = gr.InputHTMLAttributes(autocomplete="off")
        with gr.Accordion(label, open=not ready, elem_classes="more connection") as self.folding:
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
                html_attributes=no_history,
            )
            self.key = gr.Textbox(
                label=say("api_key"),
                info=say("api_key_info"),
                placeholder=say("api_key_owner") if ready else "",
                type="password",
                max_lines=1,
                elem_id="api-key",
                html_attributes=no_history,
            )
            self.limit = gr.Number(
                self._settings.visit_dollars,
                label=say("api_limit"),
                info=say("api_limit_info"),
                visible=self._at_openai("owner"),
                elem_id="api-limit",
            )
            self.check = gr.Button(say("api_check"), elem_id="api-check")
            self.told = gr.HTML(apply_default_css=False, elem_id="api-told")

    def _build_options(self, first: ImageModel) -> None:
        there = bool(first.backgrounds or first.formats)
        with gr.Accordion(
            say("api_more"), open=False, visible=there, elem_classes="more"
        ) as self.options:
            self.background = _dropdown("api_background", first.backgrounds)
            self.format = _dropdown("api_format", first.formats)
            self.compression = gr.Slider(
                0, WHOLE, WHOLE, step=1, label=say("api_compression"), visible=False
            )


def _labelled(models: Mapping[str, ImageModel]) -> list[tuple[str, str]]:
    return [(model_label(model), name) for name, model in models.items()]


def _one_of(allowed: tuple[str, ...], value: str) -> str:
    return value if value in allowed else next(iter(allowed), "")


def _choice(allowed: tuple[str, ...], value: str) -> Any:
    """A widget's choices; it is hidden where there is nothing to choose."""
    if not allowed:
        return gr.update(
            visible=False
        )  # with its old choices: Gradio checks its value against them
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
