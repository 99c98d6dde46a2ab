"""The page: head, tabs and foot, put together and given its look.

Knows neither what stands in a tab nor how pictures are made.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from dalle_app import __version__
from dalle_app.access import access_from_settings
from dalle_app.settings import Settings
from dalle_app.studio import Studio
from dalle_app.ui.api_tab import ApiTab
from dalle_app.ui.credits import credits_markup
from dalle_app.ui.local_tab import LocalTab
from dalle_app.ui.markup import render
from dalle_app.ui.theme import theme
from dalle_app.ui.words import say, say_list


def build_page(studio: Studio, settings: Settings) -> gr.Blocks:
    """The whole page, to be mounted. Nothing in it loads a model."""
    page = gr.Blocks(title=say("title"), analytics_enabled=False, fill_width=True)
    with page:
        gr.HTML(_head(studio), apply_default_css=False, elem_classes="head-place")
        with gr.Tabs(elem_classes="tabs"):
            with gr.Tab(say("local_tab"), id="local"):
                local = LocalTab(studio)
            with gr.Tab(say("api_tab"), id="api"):
                api = ApiTab(studio, settings)
        gr.HTML(_foot(studio, settings), apply_default_css=False, elem_classes="foot-place")
        local.wire(page)
        api.wire(page)
    return page


def look(static: Path) -> dict[str, Any]:
    """How the page looks, as arguments of `gr.mount_gradio_app`.

    Args:
        static: the folder that the server shows as `/look`.
    """
    return {"theme": theme(), "head": render("document_head"), "favicon_path": static / "logo.svg"}


def _head(studio: Studio) -> str:
    prompts = [prompt for model in studio.models() if model.usable for prompt in model.prompts]
    return render(
        "head", prompts=json.dumps(prompts), how=say_list("how_text"), credits=credits_markup()
    )


def _foot(studio: Studio, settings: Settings) -> str:
    where = "; ".join(engine.where() for engine in studio.engines)
    api = access_from_settings(settings).sentence
    return render("foot", where=where, api=api, version=__version__)
