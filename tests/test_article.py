"""The article's call as the README gives it for today, at a server that answers as OpenAI's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import openai
import pytest
from fake_provider import fake_provider
from PIL import Image

README = Path(__file__).parent.parent / "README.md"
PROMPT = "Lightning hits a river, electric, dark cloudy sky"


def test_the_call_of_2023_is_gone():
    with pytest.raises(openai.lib._old_api.APIRemovedInV1):
        openai.Image.create(prompt=PROMPT, n=1, size="1024x1024")


def test_todays_call_shows_the_picture_with_the_prompt_as_its_caption(monkeypatch):
    found = re.search(r"test_article\.py -->\n```python\n(.*?)```", README.read_text("utf-8"), re.S)
    assert found
    shown: list[tuple[tuple[int, int], str]] = []

    def show(picture: Any, title: str) -> None:
        shown.append((picture.size, title))

    monkeypatch.setattr(Image.Image, "show", show)
    with fake_provider() as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.base("ok"))
        monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-1")
        values: dict[str, Any] = {}
        exec(compile(found[1], str(README), "exec"), values)  # the README's own words
        values["client"].close()
        path, headers, body = provider.asked.get_nowait()
    assert path == "/ok/v1/images/generations"
    assert headers["authorization"] == "Bearer sk-canary-1"
    assert (body["prompt"], body["n"], body["size"]) == (PROMPT, 1, "1024x1024")
    assert shown == [((16, 16), PROMPT)]
