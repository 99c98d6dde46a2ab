"""The tab “DALL·E 2 (API)”: its widgets, and what they do.

Knows the widgets; what a run looks like is the easel's, and the key never leaves the request.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from dalle_app.engines import Engine, build_api_engine
from dalle_app.errors import InvalidRequest
from dalle_app.request import ImageRequest, request_from_fields
from dalle_app.settings import Settings
from dalle_app.studio import Studio
from dalle_app.ui.easel import Changes, Easel, lay
from dalle_app.ui.view import View, picked
from dalle_app.ui.words import say

MAX_NUMBER = 10  # pictures in one request, by the Images API
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ApiTab:
    """Builds the tab's widgets inside the current `gr.Tab`."""

    def __init__(self, studio: Studio, settings: Settings) -> None:
        self.settings = settings
        # On a server for others, visitors name no host that it should call, nor spend its key.
        self._alone = settings.host in _LOOPBACK
        self.easel = Easel(studio, "api")
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
        with gr.Row(elem_classes="controls"):
            self.model = gr.Textbox(
                settings.openai_model, label=say("api_model"), max_lines=1, elem_id="api-model"
            )
            self.number = gr.Dropdown(
                list(range(1, MAX_NUMBER + 1)), value=1, label=say("api_number"), filterable=False
            )
        owner = bool(settings.openai_api_key) and self._alone
        with gr.Accordion(say("api_connection"), open=not owner, elem_classes="more"):
            self.base_url = gr.Textbox(
                settings.openai_base_url,
                label=say("api_base_url"),
                info=say("api_base_url_info"),
                interactive=self._alone,
                max_lines=1,
                elem_id="api-base-url",
            )
            self.key = gr.Textbox(
                label=say("api_key"),
                info=say("api_key_info"),
                placeholder=say("api_key_owner") if owner else "",
                type="password",
                max_lines=1,
                elem_id="api-key",
                html_attributes=gr.InputHTMLAttributes(autocomplete="off"),
            )
        lay(self.easel.status)
        lay(self.easel.grid)
        lay(self.easel.recent)
        self.widgets = [self.prompt, self.model, self.number, self.base_url, self.key]

    def wire(self, page: gr.Blocks) -> None:
        """Connect the widgets with the studio. All of it is private: a key is among the inputs."""
        easel = self.easel
        outputs = [self.prompt, self.model, self.number, *easel.parts]

        def wired(event: Any, handler: Any, inputs: list[Any]) -> None:
            event(
                easel.guarded(handler),
                inputs,
                outputs,
                show_progress="hidden",
                trigger_mode="multiple",
                api_visibility="private",
            ).then(
                easel.watch,
                [easel.view],
                easel.parts,
                show_progress="hidden",
                trigger_mode="multiple",
                api_visibility="private",
            )

        connection = [self.base_url, self.key, easel.view]
        wired(self.draw.click, self.start, [*self.widgets, easel.view])
        wired(self.prompt.submit, self.start, [*self.widgets, easel.view])
        wired(easel.grid.pick, self.pick, connection)
        wired(easel.recent.pick, self.pick, connection)
        wired(page.load, self.open, [easel.view])
        easel.wire()

    def start(
        self,
        prompt: str,
        model: str,
        number: int,
        base_url: str,
        key: str,
        view: View,
        asker: gr.Request,
    ) -> Changes:
        """Draw what stands in the widgets."""
        wanted = request_from_fields({"prompt": prompt or "", "model": model, "count": number})
        if wanted.count > MAX_NUMBER:
            raise InvalidRequest("count", say("api_too_many", count=MAX_NUMBER))
        return self._drawn(wanted, base_url, key, view, asker)

    def pick(
        self, base_url: str, key: str, view: View, asker: gr.Request, event: gr.EventData
    ) -> Changes:
        """A click inside the grid or the strip: an old run, or one picture again."""
        act, run_id, k = picked(event._data)
        if act == "reroll":
            return self._drawn(self.easel.reroll(run_id, k), base_url, key, view, asker)
        run, changes = self.easel.bring_back(run_id, view)
        return changes | self._filled(run.request)

    def open(self, view: View, asker: gr.Request) -> Changes:
        """The page was opened: the last run comes back."""
        run, changes = self.easel.reload(view, asker)
        return changes | (self._filled(run.request) if run else {})

    def _drawn(
        self, wanted: ImageRequest, base_url: str, key: str, view: View, asker: gr.Request
    ) -> Changes:
        _, changes = self.easel.start(wanted, view, asker, self._engine(base_url, key))
        return changes

    def _engine(self, base_url: str, key: str) -> Engine:
        own_server = self.settings.openai_base_url
        base_url = (base_url or "").strip() if self._alone else ""
        base_url = base_url or own_server
        # The owner's key goes to the owner's server and to no other that is typed in.
        usable = self._alone and base_url == own_server
        owners = self.settings.openai_api_key if usable else ""
        return build_api_engine(self.settings, base_url, (key or "").strip() or owners)

    def _filled(self, wanted: ImageRequest) -> Changes:
        return {
            self.prompt: wanted.prompt,
            self.model: wanted.model,
            self.number: min(wanted.count, MAX_NUMBER),
        }
