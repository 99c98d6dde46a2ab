"""The tab “DALL-E mini (local)”: its widgets, and what they do.

Knows the widgets; what a run looks like is the easel's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import gradio as gr

from dalle_app.errors import DalleError, InvalidRequest
from dalle_app.recipe import request_from_link
from dalle_app.request import MAX_SIDE, ImageRequest, request_from_fields
from dalle_app.studio import Studio
from dalle_app.styles import styled, styles
from dalle_app.ui.easel import Changes, Easel, lay
from dalle_app.ui.examples import examples
from dalle_app.ui.folds import ModelsFold, ReadingFold, choose_model, model_choices
from dalle_app.ui.markup import problem_markup, status_markup
from dalle_app.ui.status import Status
from dalle_app.ui.view import View, picked
from dalle_app.ui.words import say, say_pictures

_MORE = ("temperature", "top_k", "guidance", "negative_prompt")


def request_from_widgets(
    prompt: str,
    style: str,
    side: int,
    seed: str,
    model: str,
    temperature: str,
    top_k: str,
    guidance: str,
    negative_prompt: str,
) -> ImageRequest:
    """The one place where what stands in the widgets becomes a request.

    A blank seed means a random one, blank numbers mean the model's own.

    Raises:
        InvalidRequest: it cannot be drawn.
    """
    fields = {
        "prompt": styled(prompt or "", style or ""),
        "grid": side,
        "seed": seed,
        "model": model,
        "temperature": temperature,
        "top_k": top_k,
        "guidance": guidance,
        "negative_prompt": negative_prompt,
    }
    return request_from_fields(fields)


class LocalTab:
    """Builds the tab's widgets inside the current `gr.Tab`."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.easel = Easel(studio, "local", side=3, examples=examples())
        with gr.Row(elem_classes="prompt-row"):
            self.prompt = gr.Textbox(
                label=say("prompt"),
                lines=1,
                max_lines=6,
                container=False,
                autofocus=True,
                elem_id="prompt",
                html_attributes=gr.InputHTMLAttributes(autocomplete="off", enterkeyhint="go"),
                scale=1,
            )
            lay(self.easel.stop)
            self.draw = gr.Button(say("draw"), variant="primary", elem_classes="draw", size="lg")
        lay(self.easel.problem)
        self.style = gr.Radio(
            [(say("no_style"), ""), *[style.name for style in styles()]],
            value="",
            label=say("style"),
            elem_classes="chips",
        )
        with gr.Row(elem_classes="controls"):
            self.side = gr.Radio(
                [(say_pictures(side**2), side) for side in range(1, MAX_SIDE + 1)],
                value=3,
                label=say("grid"),
                elem_classes="sides",
            )
            with gr.Row(elem_classes="seed"):
                self.seed = gr.Textbox(
                    label=say("seed"),
                    placeholder=say("seed_placeholder"),
                    max_lines=1,
                    elem_id="seed",
                    html_attributes=gr.InputHTMLAttributes(autocomplete="off"),
                )
                self.dice = gr.Button(say("seed_dice"), elem_classes="dice")
                self.pin = gr.Checkbox(label=say("seed_pin"), elem_classes="pin", container=False)
            self.model = gr.Dropdown(
                model_choices(studio),
                value=studio.first_model(),
                label=say("model"),
                elem_classes="model",
                filterable=False,
            )
        with gr.Row(elem_classes="folds"):
            with gr.Accordion(say("more"), open=False, elem_classes="more") as self.more:
                self.numbers = {
                    name: gr.Textbox(
                        label=say(name),
                        info=say(f"{name}_info"),
                        placeholder="" if name == "negative_prompt" else say("own_value"),
                        max_lines=1,
                        elem_id=name.replace("_", "-"),
                    )
                    for name in _MORE
                }
            self.reading = ReadingFold(studio)
        lay(self.easel.status)
        lay(self.easel.grid)
        lay(self.easel.recent)
        self.models = ModelsFold(studio)
        # Not a secret: it only scrambles four numbers in the visitor's own browser.
        self.remembered = gr.BrowserState(
            [""] * len(_MORE), storage_key="crayonbox:more", secret="crayonbox"
        )
        self.widgets = [
            self.prompt, self.style, self.side, self.seed, self.pin, self.model,
            *self.numbers.values(),
        ]  # fmt: skip

    def wire(self, page: gr.Blocks) -> None:
        """Connect the widgets with the studio.

        Watching alone goes through Gradio's queue: what is queued while the page's event stream is
        being closed is never heard of again (gradio 6.31's browser client).
        """
        easel = self.easel
        outputs = [*self.widgets, *easel.parts]
        guarded = easel.guarded

        def then_watch(event: Any, visibility: Literal["public", "private"] = "private") -> None:
            event.then(
                self.watch,
                [easel.view],
                easel.parts,
                show_progress="hidden",
                trigger_mode="multiple",
                api_name="watch",
                api_visibility=visibility,
            )

        asked = gr.on(
            [self.draw.click, self.prompt.submit],
            guarded(self.start),
            [*self.widgets, easel.view],
            outputs,
            queue=False,
            show_progress="hidden",
            trigger_mode="multiple",
            api_name="draw",
        )
        then_watch(asked, "public")
        for place in (easel.grid, easel.recent):
            clicked = place.pick(
                guarded(self.pick),
                [easel.view],
                outputs,
                queue=False,
                show_progress="hidden",
                trigger_mode="multiple",
                api_visibility="private",
            )
            then_watch(clicked)
        opened = page.load(
            guarded(self.open),
            [self.remembered, easel.view],
            [*outputs, self.more],
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
        then_watch(opened)
        easel.wire()
        self.reading.wire(self.prompt, self.style, self.model)
        self.models.wire(page, self.model)
        self._wire_seed()
        gr.on(
            [event for box in self.numbers.values() for event in (box.input, box.blur)],
            None,
            list(self.numbers.values()),
            self.remembered,
            js="(...more) => [more]",
        )

    def start(
        self,
        prompt: str,
        style: str,
        side: int,
        seed: str,
        pinned: bool,
        model: str,
        temperature: str,
        top_k: str,
        guidance: str,
        negative_prompt: str,
        view: View,
        asker: gr.Request,
    ) -> Changes:
        """Draw what stands in the widgets."""
        # After a run the box shows the seed that was used; it counts again if pinned or changed.
        if not pinned and seed == view.seed:
            seed = ""
        wanted = request_from_widgets(
            prompt, style, side, seed, model, temperature, top_k, guidance, negative_prompt
        )
        _, changes = self.easel.start(wanted, view, asker)
        return changes | {self.seed: view.seed}

    def watch(self, view: View, asker: gr.Request) -> Iterator[Changes]:
        """Show the visitor's drawings as they come."""
        yield from self.easel.watch(view, asker)

    def pick(self, view: View, asker: gr.Request, event: gr.EventData) -> Changes:
        """A click inside the grid or the strip: an example, an old run, or one picture again."""
        act, run_id, k = picked(event._data)
        if act == "example":
            run, changes = self.easel.start(self._example(k), view, asker)
            return changes | self._filled(run.request)
        if act == "reroll":
            _, changes = self.easel.start(self.easel.reroll(run_id, k), view, asker)
            return changes | {self.seed: view.seed, self.pin: False}
        run, changes = self.easel.bring_back(run_id, view)
        images = run.snapshot.images if run.snapshot else ()
        wanted = images[0].recipe.request if images else run.request
        return changes | self._filled(wanted)

    def open(self, remembered: list[str], view: View, asker: gr.Request) -> Changes:
        """The page was opened: the last run comes back, and a link fills the widgets in."""
        run, changes = self.easel.reload(view, asker)
        if run is not None:
            filled = self._filled(run.request)
            changes |= {w: v for w, v in filled.items() if w not in self.numbers.values()}
        first = self.studio.first_model(run.request.model if run else "")
        changes[self.model] = choose_model(self.studio, first)
        more = [str(text)[:4_000] for text in remembered or []]
        if len(more) == len(_MORE):
            changes |= dict(zip(self.numbers.values(), more, strict=True))
        query = dict(asker.query_params)
        if "prompt" in query:
            changes |= self._linked(query)
        changes[self.more] = gr.update(open=any(changes.get(box) for box in self.numbers.values()))
        return changes

    def _example(self, k: int) -> ImageRequest:
        shown = examples()
        if not 0 <= k < len(shown):
            raise InvalidRequest("prompt", say("example_gone"))
        return shown[k].request

    def _linked(self, query: Mapping[str, str]) -> Changes:
        try:
            wanted = request_from_link(query)
        except DalleError as error:
            return {self.easel.problem: problem_markup(str(error))}
        status = Status(say("linked"), say("linked"))
        filled = self._filled(wanted, pinned=wanted.seed is not None)
        return filled | {self.easel.status: status_markup(status)}

    def _filled(self, wanted: ImageRequest, pinned: bool = False) -> Changes:
        """Every widget as a request says. The style is part of the prompt by now."""
        changes: Changes = {
            self.prompt: wanted.prompt,
            self.style: "",
            self.side: min(wanted.side, MAX_SIDE),
            self.seed: "" if wanted.seed is None else str(wanted.seed),
            self.pin: pinned,
            self.model: choose_model(self.studio, wanted.model),
        }
        for name, box in self.numbers.items():
            value = getattr(wanted, name)
            changes[box] = "" if value is None else str(value)
        return changes

    def _wire_seed(self) -> None:
        """The dice empties the box; typing a seed pins it. Both without asking the server."""
        self.dice.click(None, None, [self.seed, self.pin], js="() => ['', false]")
        self.seed.input(None, self.seed, self.pin, js="(text) => [text.trim() !== '']")
