"""Two folds under the local tab's controls: what the model reads, and which models there are.

Know the studio; the tab owns the prompt, style and model that they look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from dalle_app.errors import DalleError
from dalle_app.studio import Studio
from dalle_app.styles import styled
from dalle_app.ui.connection import is_from_here
from dalle_app.ui.markup import render
from dalle_app.ui.words import say

Changes = dict[Any, Any]  # Gradio component -> its new value


class ReadingFold:
    """Builds “What the model reads” inside the current block.

    What there is no room for is said above it, so that it is seen with the fold closed.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.dropped = gr.HTML("", apply_default_css=False)
        with gr.Accordion(say("reading"), open=False, elem_classes="more"):
            self.shown = gr.HTML(_unread(say("reading_nothing")), apply_default_css=False)

    def wire(self, prompt: gr.Textbox, style: gr.Radio, model: gr.Dropdown) -> None:
        """Follow what is typed and chosen."""
        gr.on(
            [prompt.change, style.change, model.change],
            self.show,
            [prompt, style, model],
            [self.dropped, self.shown],
            queue=False,
            show_progress="hidden",
            trigger_mode="always_last",
            api_visibility="private",
        )

    def show(self, prompt: str, style: str, model: str) -> tuple[str, str]:
        """What is dropped, and what is read, piece by piece."""
        if not (prompt or "").strip():
            return "", _unread(say("reading_nothing"))
        try:
            reading = self.studio.reading(model, styled(prompt, style or ""))
        except DalleError as error:
            return "", _unread(str(error))
        if reading is None:
            return "", _unread(say("reading_remote"))
        dropped = say("reading_dropped", dropped=reading.dropped) if reading.dropped else ""
        return render("problem", text=dropped), render("reading", reading=reading, text="")


def _unread(text: str) -> str:
    return render("reading", reading=None, text=text)


class ModelsFold:
    """Builds “Models”: each with what it needs, and a way to fetch those that are published.

    Fetching takes room on the owner's disk, so visitors of other machines are told whom to ask.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        with gr.Accordion(say("weights"), open=False, elem_classes="more"):
            self.shown = gr.HTML(models_markup(studio), apply_default_css=False)
            with gr.Row(visible=False, elem_classes="fetch-row") as self.row:
                self.which = _choice(_fetchable(studio))
                self.fetch = gr.Button(say("weights_fetch"))
                self.stop = gr.Button(say("weights_stop"), visible=False)

    def wire(self, page: gr.Blocks, model: gr.Dropdown) -> None:
        """Connect the buttons. A model that has come is offered in `model` at once."""
        self.model = model
        parts = [self.shown, self.row, self.which, self.fetch, self.stop, model]
        page.load(
            self.open,
            None,
            parts,
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
        fetching = self.fetch.click(
            self.follow,
            self.which,
            parts,
            show_progress="hidden",
            api_visibility="private",
            concurrency_limit=1,
        )
        self.stop.click(
            self.rest, None, parts, queue=False, cancels=[fetching], api_visibility="private"
        )

    def open(self, asker: gr.Request) -> Changes:
        """The page was opened: what there is by now, and for the owner what can be fetched."""
        if is_from_here(asker):
            return self._changes("")
        wanted = _fetchable(self.studio)
        return {
            self.shown: models_markup(
                self.studio, say("weights_owner", model=wanted[0]) if wanted else ""
            )
        }

    def follow(self, name: str, asker: gr.Request) -> Iterator[Changes]:
        """Fetch a model and show how far it is; in the end, that it can be chosen."""
        if not is_from_here(asker):  # a hidden button is still an endpoint
            yield {self.shown: models_markup(self.studio, say("weights_owner", model=name))}
            return
        said, failed = say("weights_starting", model=name), False
        yield self._changes(said, fetching=True)
        try:
            for progress in self.studio.fetch(name):
                said = say(
                    "weights_fetching", model=name, progress=progress, outlook=progress.outlook
                )
                yield self._changes(said, fetching=True)
            said = say("weights_done", model=name)
        except DalleError as error:
            said, failed = str(error), True
        changes = self._changes(said, failed=failed)
        yield changes | {self.model: gr.Dropdown(model_choices(self.studio))}

    def rest(self) -> Changes:
        """After a fetch was stopped."""
        return self._changes("")

    def _changes(self, text: str, *, fetching: bool = False, failed: bool = False) -> Changes:
        wanted = _fetchable(self.studio)
        which = gr.Dropdown(interactive=False) if fetching else _choice(wanted)
        return {
            self.shown: models_markup(self.studio, text, failed=failed),
            self.row: gr.Row(visible=bool(wanted)),
            self.which: which,
            self.fetch: gr.Button(visible=not fetching),
            self.stop: gr.Button(visible=fetching),
        }


def models_markup(studio: Studio, text: str = "", *, failed: bool = False) -> str:
    """The models with their states, and a line of text under them."""
    return render("models", models=studio.models(), text=text, failed=failed)


def model_choices(studio: Studio) -> list[tuple[str, str]]:
    """The models for a dropdown: what is shown, and the name."""
    return [(f"{model.name} · {model.state}", model.name) for model in studio.models()]


def choose_model(studio: Studio, model: str) -> Any:
    """A dropdown's update: the models as they are now, with this one chosen if there is such."""
    choices = model_choices(studio)
    there = model in [name for _, name in choices]
    return gr.update(choices=choices, value=model if there else studio.first_model())


def _choice(wanted: list[str]) -> gr.Dropdown:
    return gr.Dropdown(
        wanted,
        value=wanted[0] if wanted else None,
        label=say("weights_which"),
        filterable=False,
        interactive=True,
    )


def _fetchable(studio: Studio) -> list[str]:
    return [model.name for model in studio.models() if model.fetchable]
