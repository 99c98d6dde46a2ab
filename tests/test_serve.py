"""`python app.py` says where it is and on what it draws, works without a network, and ends well."""

from __future__ import annotations

import base64
import io
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from starting import Started, app_process, started

from dalle_app.errors import InvalidSetting
from dalle_app.recipe import recipe_from_png
from dalle_app.serve import address, bind


@pytest.fixture(scope="module")
def free_port() -> int:
    with bind("127.0.0.1", 0) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, free_port: int) -> Iterator[Started]:
    with started(tmp_path_factory.mktemp("app"), free_port) as running:
        yield running


def test_it_says_the_address_the_device_with_its_reason_and_the_model(app, free_port):
    assert f"Crayonbox: http://127.0.0.1:{free_port}" in app.said
    assert [line for line in app.said if line.startswith("Drawing on c") and ": " in line]
    assert "Model: pocket" in app.said


def test_with_no_network_it_draws_and_tries_to_reach_nobody(app):
    body = {"model": "pocket", "prompt": "a blue harp", "n": 1, "seed": 6}
    answer = httpx.post(f"{app.url}/v1/images/generations", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    png = base64.b64decode(answer.json()["data"][0]["b64_json"])
    assert recipe_from_png(io.BytesIO(png)).request.seed == 6
    assert httpx.get(app.url, timeout=60).status_code == 200
    assert not app.attempts.exists(), app.attempts.read_text()


def test_a_port_that_is_taken_is_one_sentence_at_once(app, free_port, tmp_path):
    with app_process(tmp_path, GRADIO_SERVER_PORT=str(free_port)) as second:
        output, _ = second.communicate(timeout=60)
    assert second.returncode == 1
    assert output.startswith(f"Crayonbox cannot start: cannot listen on 127.0.0.1 port {free_port}")
    assert "GRADIO_SERVER_PORT" in output
    assert "Traceback" not in output


def test_an_interrupt_ends_it_quietly_even_with_a_page_open(app):
    # An open page is a connection that lives as long as the page.
    with httpx.stream("GET", f"{app.url}/gradio_api/heartbeat/abc", timeout=60) as page:
        reader = threading.Thread(target=lambda: list(quietly(page)))
        reader.start()
        app.process.send_signal(signal.SIGINT)
        assert app.process.wait(timeout=60) == 0
        reader.join(60)
    assert app.process.stdout is not None
    assert "Traceback" not in app.process.stdout.read()


def quietly(page: httpx.Response) -> Iterator[bytes]:
    try:
        yield from page.iter_bytes()
    except httpx.TransportError:
        return


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"GRADIO_SERVER_PORT": "http"}, "GRADIO_SERVER_PORT is 'http'"),
        ({"GRADIO_SERVER_NAME": "no.such.host.invalid"}, "cannot listen on no.such.host.invalid"),
    ],
)
def test_a_setting_that_cannot_work_is_one_sentence(tmp_path, variables, says):
    with app_process(tmp_path, **variables) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"Crayonbox cannot start: {says}" in output
    assert len(output.splitlines()) == 1


def test_the_address_is_one_that_a_browser_takes():
    assert address("127.0.0.1", 7860) == "http://127.0.0.1:7860"
    assert address("0.0.0.0", 80) == address("::", 80) == "http://127.0.0.1:80"
    assert address("::1", 7860) == "http://[::1]:7860"


def test_every_network_means_both_kinds_of_address():
    with closing(bind("::", 0)) as listening:
        port = listening.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), timeout=5).close()


def test_an_address_of_another_machine_cannot_be_listened_on():
    with pytest.raises(InvalidSetting, match=r"cannot listen on 203\.0\.113\.1 port 7860"):
        bind("203.0.113.1", 7860)
