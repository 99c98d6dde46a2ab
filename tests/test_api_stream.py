"""Pictures from `/v1` while they are drawn, and what a client that goes away leaves behind."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import openai
import pytest
from api_server import client_of, serve_api
from openai.types import ImageGenCompletedEvent, ImageGenPartialImageEvent
from serving import Served
from squares import Squares

from dalle_app.errors import EngineError

SOON = 20  # seconds; what is waited for takes a fraction of one


class Gate(threading.Event):
    """A closed gate that tells when the engine stands before it."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.reached.set()
        return super().wait(timeout)


def held_engine() -> tuple[Squares, Gate]:
    gate = Gate()
    engine = Squares(gate)
    gate.clear()
    return engine, gate


@pytest.fixture(scope="module")
def client(site: Served) -> Iterator[openai.OpenAI]:
    with client_of(site.url) as client:
        yield client


@pytest.mark.parametrize("previews", [0, 1, 2, 3])
def test_a_stream_shows_each_picture_growing_and_then_done(
    client: openai.OpenAI, previews: int
) -> None:
    stream = client.images.generate(prompt="a blue harp", n=2, stream=True, partial_images=previews)
    events = list(stream)
    told = [(event.type.rpartition(".")[2], event.to_dict()["index"]) for event in events]
    partial = [("partial_image", index) for _ in range(previews) for index in (0, 1)]
    assert told == [*partial, ("completed", 0), ("completed", 1)]
    numbers = [e.partial_image_index for e in events if e.type.endswith("partial_image")]
    assert numbers == [k for k in range(previews) for _ in (0, 1)]
    assert len({event.b64_json for event in events}) == len(events)


def test_every_event_is_one_of_the_sdks(client: openai.OpenAI) -> None:
    for event in client.images.generate(prompt="a cat", stream=True, partial_images=1):
        known = {
            "image_generation.partial_image": ImageGenPartialImageEvent,
            "image_generation.completed": ImageGenCompletedEvent,
        }[event.type]
        known.model_validate(event.to_dict(), strict=True)


def test_a_stream_ends_with_the_pictures_that_a_whole_answer_has(client: openai.OpenAI) -> None:
    fields = {"seed": 11}
    whole = client.images.generate(prompt="a cat", n=2, extra_body=fields)
    events = client.images.generate(prompt="a cat", n=2, stream=True, extra_body=fields)
    completed = [event.b64_json for event in events]
    assert whole.data is not None
    assert completed == [picture.b64_json for picture in whole.data]


def test_an_asynchronous_client_streams_too(site: Served) -> None:
    async def types() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{site.url}/v1", api_key="-") as client:
            stream = await client.images.generate(prompt="a cat", stream=True, partial_images=1)
            return [event.type async for event in stream]

    assert asyncio.run(types()) == ["image_generation.partial_image", "image_generation.completed"]


def test_an_error_before_the_first_word_has_its_status(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.images.generate(prompt="a cat", model="dall-e-2", stream=True)


def test_an_error_in_mid_stream_is_an_event(tmp_path: Path) -> None:
    engine = Squares(error=EngineError("The pencil broke. Sharpen it."))
    with serve_api(engine, tmp_path) as url, client_of(url) as client:
        stream = client.images.generate(prompt="a cat", stream=True, partial_images=3)
        assert next(stream).type == "image_generation.partial_image"
        with pytest.raises(openai.APIError, match="The pencil broke") as caught:
            next(stream)
    assert caught.value.code == "engine_error"


def test_a_stream_carries_its_pictures_even_where_addresses_are_asked_for(
    client: openai.OpenAI,
) -> None:
    (event,) = client.images.generate(prompt="a cat", stream=True, response_format="url")
    assert event.b64_json


def test_hanging_up_on_a_stream_stops_the_drawing(tmp_path: Path) -> None:
    engine, gate = held_engine()
    with serve_api(engine, tmp_path, queue_size=1) as url, client_of(url) as client:
        stream = client.images.generate(prompt="a cat", stream=True)
        assert gate.reached.wait(SOON)
        stream.close()
        assert engine.ended.acquire(timeout=SOON)
        gate.set()
        again = client.with_options(max_retries=3)  # the line may need a moment to hear of it
        assert again.images.generate(prompt="a cat").data  # and its place in the line is free


def test_hanging_up_on_a_whole_answer_stops_the_drawing(tmp_path: Path) -> None:
    engine, gate = held_engine()
    with serve_api(engine, tmp_path, queue_size=1) as url, client_of(url) as client:
        connection = http.client.HTTPConnection(urlsplit(url).netloc)
        body = json.dumps({"prompt": "a cat"})
        kind = {"Content-Type": "application/json"}
        connection.request("POST", "/v1/images/generations", body, kind)
        assert gate.reached.wait(SOON)
        connection.close()
        assert engine.ended.acquire(timeout=SOON)
        gate.set()
        assert client.with_options(max_retries=3).images.generate(prompt="a cat").data


def test_a_full_line_says_so_before_anything_is_drawn(tmp_path: Path) -> None:
    engine, gate = held_engine()
    with serve_api(engine, tmp_path, queue_size=1) as url, client_of(url) as client:
        with client.images.generate(prompt="a cat", stream=True):
            assert gate.reached.wait(SOON)
            with pytest.raises(openai.RateLimitError) as caught:
                client.images.generate(prompt="a dog", stream=True)
        assert caught.value.code == "rate_limit_exceeded"
        assert int(caught.value.response.headers["retry-after"]) > 0
        assert engine.ended.acquire(timeout=SOON)
