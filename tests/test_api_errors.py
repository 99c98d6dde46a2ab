"""What `/v1` says when it cannot draw: a status, and an error that OpenAI's client reads."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from api_server import client_of, serve_api
from PIL import Image
from serving import Served
from squares import Squares

from dalle_app.api.guard import MAX_BODY
from dalle_app.errors import (
    Busy,
    CheckpointError,
    DalleError,
    EngineError,
    InvalidRequest,
    ProviderError,
    StorageError,
)
from dalle_app.request import MAX_PROMPT

GENERATIONS = "/v1/images/generations"


@pytest.fixture(scope="module")
def client(site: Served) -> Iterator[openai.OpenAI]:
    with client_of(site.url) as client:
        yield client


@pytest.fixture(scope="module")
def web(site: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.url, verify=False, timeout=60) as web:
        yield web


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"prompt": ""}, "prompt", "invalid_value"),
        ({"prompt": " \n "}, "prompt", "invalid_value"),
        ({"prompt": "x" * (MAX_PROMPT + 1)}, "prompt", "invalid_value"),
        ({"prompt": 5}, "prompt", "invalid_type"),
        ({"prompt": None}, "prompt", "invalid_type"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 37}, "n", "invalid_value"),
        ({"n": "2"}, "n", "invalid_type"),
        ({"n": 2.5}, "n", "invalid_type"),
        ({"n": True}, "n", "invalid_type"),
        ({"size": "640x480"}, "size", "invalid_value"),
        ({"size": 256}, "size", "invalid_value"),
        ({"response_format": "html"}, "response_format", "invalid_value"),
        ({"output_format": "gif"}, "output_format", "invalid_value"),
        ({"output_compression": 101}, "output_compression", "invalid_value"),
        ({"background": "transparent"}, "background", "invalid_value"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"stream": True, "partial_images": 4}, "partial_images", "invalid_value"),
        ({"user": 5}, "user", "invalid_type"),
        ({"seed": -1}, "seed", "invalid_value"),
        ({"seed": 2**53}, "seed", "invalid_value"),
        ({"seed": "7"}, "seed", "invalid_type"),
        ({"negative_prompt": ["red"]}, "negative_prompt", "invalid_type"),
        ({"temperature": 0}, "temperature", "invalid_value"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"top_k": 0}, "top_k", "invalid_value"),
        ({"guidance": -1}, "guidance", "invalid_value"),
        ({"model": ["pocket"]}, "model", "invalid_type"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(
    client: openai.OpenAI, fields: dict[str, Any], param: str, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(**{"prompt": "a cat", "extra_body": fields})
    error = caught.value
    assert (error.type, error.param, error.code) == ("invalid_request_error", param, code)
    assert isinstance(error.body, dict)
    assert error.body["message"].endswith((".", "”."))


@pytest.mark.parametrize("model", ["dall-e-2", "gpt-image-2", "mini", "ſ" * 300])
def test_a_model_that_is_not_here_is_not_found(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.NotFoundError) as drawing:
        client.images.generate(prompt="a cat", model=model)
    with pytest.raises(openai.NotFoundError) as looking:
        client.models.retrieve(model)
    for error in (drawing.value, looking.value):
        assert (error.param, error.code) == ("model", "model_not_found")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"[]", "application/json"),
        (b'"a cat"', "application/json"),
        (b"null", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"prompt": "\\ud800"}', "application/json"),
        (b'{"prompt": "a cat", "temperature": NaN}', "application/json"),
        (b'{"prompt": "a cat", "n": ' + b"9" * 5000 + b"}", "application/json"),
        (b'{"prompt": "a cat"}', "text/plain"),
        (b"prompt=a+cat", "application/x-www-form-urlencoded"),
    ],
)
def test_a_body_that_is_no_request_is_refused(web: httpx.Client, body: bytes, kind: str) -> None:
    answer = web.post(GENERATIONS, content=body, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert {*answer.json()["error"]} == {"message", "type", "param", "code"}


@pytest.mark.parametrize("announced", [True, False])
def test_a_huge_body_is_not_read(web: httpx.Client, announced: bool) -> None:
    body = b'{"prompt": "%b"}' % (b"x" * MAX_BODY)
    parts = body if announced else iter([body[: MAX_BODY // 2], body[MAX_BODY // 2 :]])
    headers = {"Content-Type": "application/json"}
    answer = web.post(GENERATIONS, content=parts, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidRequest("prompt", "Nothing to read."), 400, "invalid_value"),
        (Busy("The line is full."), 429, "rate_limit_exceeded"),
        (EngineError("The pencil broke."), 500, "engine_error"),
        (ProviderError("No answer."), 502, "provider_error"),
        (CheckpointError("No weights."), 503, "model_unavailable"),
        (StorageError("No room."), 507, "storage_full"),
    ],
)
def test_every_error_of_the_app_has_its_status(
    tmp_path: Path, error: DalleError, status: int, code: str
) -> None:
    with (
        serve_api(Squares(error=error), tmp_path) as url,
        client_of(url) as client,
        pytest.raises(openai.APIStatusError) as caught,
    ):
        client.images.generate(prompt="a cat")
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert str(error) in caught.value.message


def test_a_bug_is_told_by_its_id_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = Squares(error=ZeroDivisionError("secret of the house"))
    with (
        caplog.at_level(logging.ERROR),
        serve_api(engine, tmp_path) as url,
        client_of(url) as client,
        pytest.raises(openai.InternalServerError) as caught,
    ):
        client.images.generate(prompt="a cat")
    assert "secret" not in caught.value.response.text
    bug = caught.value.message.split("(id ")[1][:8]
    assert f"bug {bug}" in caplog.text


@pytest.mark.parametrize("kilobytes", [1, 3000])
def test_edits_are_refused_with_a_reason(client: openai.OpenAI, kilobytes: int) -> None:
    png = io.BytesIO()
    Image.new("RGB", (16, 16)).save(png, "PNG")
    upload = png.getvalue().ljust(kilobytes * 1000, b"\0")
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.edit(image=("cat.png", upload), prompt="with a hat")
    assert caught.value.code == "edits_not_supported"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/v1/chat/completions", 404, "unknown_url"),
        ("GET", "/v1/", 404, "unknown_url"),
        ("GET", "/v1/docs", 404, "unknown_url"),
        ("GET", "/v1/images/links/../../run.json", 404, "unknown_url"),
        ("GET", "/v1/images/links/" + "0" * 64 + ".png", 404, "expired"),
        ("GET", "/v1/images/links/..%2F..%2Frun.json", 404, "unknown_url"),
        ("GET", GENERATIONS, 405, "method_not_allowed"),
        ("DELETE", "/v1/models/pocket", 405, "method_not_allowed"),
    ],
)
def test_what_is_not_here_says_so_in_the_same_words(
    web: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    answer = web.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
