"""Who may use `/v1`, and that nobody else can, whatever they ask for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from api_server import client_of, serve_api
from serving import Served
from squares import Squares

from dalle_app import access
from dalle_app.access import Access, access_from_settings, hash_of_key, is_loopback, new_key
from dalle_app.errors import InvalidSetting
from dalle_app.settings import Settings

KEY = "cb-correct-horse"
ENTRY = f"alice:{hash_of_key(KEY)}"


@pytest.mark.parametrize(
    ("settings", "mode"),
    [
        ({}, "local"),
        ({"host": "localhost"}, "local"),
        ({"host": "::1"}, "local"),
        ({"host": "0.0.0.0"}, "off"),
        ({"host": "::"}, "off"),
        ({"host": "192.168.1.5"}, "off"),
        ({"host": "crayons.example"}, "off"),
        ({"api_keys": ENTRY}, "keys"),
        ({"api_keys": ENTRY, "host": "0.0.0.0"}, "keys"),
        ({"api": "keys", "api_keys": ENTRY}, "keys"),
        ({"api": "open", "host": "0.0.0.0"}, "open"),
        ({"api": "open", "api_keys": ENTRY}, "open"),
        ({"api": "off", "api_keys": ENTRY}, "off"),
    ],
)
def test_unless_told_otherwise_the_api_is_for_this_machine_or_for_keys(
    settings: dict[str, Any], mode: str
) -> None:
    rule = access_from_settings(Settings(**settings))
    assert rule.mode == mode
    assert rule.sentence.startswith("The Images API at /v1 is ")


@pytest.mark.parametrize("keys", [KEY, "alice", f"alice:{KEY}", f"{ENTRY},bob", f"a b:{'0' * 64}"])
def test_keys_that_are_no_hashes_are_refused_without_being_shown(keys: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        access_from_settings(Settings(api_keys=keys))
    assert KEY not in str(caught.value)


def test_to_want_keys_and_have_none_is_an_error() -> None:
    with pytest.raises(InvalidSetting, match=r"python -m dalle_app\.access NAME"):
        access_from_settings(Settings(api="keys"))


def test_a_key_is_its_holders_alone() -> None:
    other = new_key()
    rule = access_from_settings(Settings(api_keys=f"{ENTRY}, bob:{hash_of_key(other)}"))
    assert (rule.holder(KEY), rule.holder(other)) == ("alice", "bob")
    assert [rule.holder(key) for key in ("", KEY[:-1], KEY.upper(), hash_of_key(KEY))] == [None] * 4


def test_the_command_makes_a_key_that_its_entry_admits(capsys: pytest.CaptureFixture[str]) -> None:
    access.main(["alice"])
    shown = capsys.readouterr().out
    key, entry = re.search(r"cb-\S{43}", shown), re.search(r"alice:\S{64}", shown)
    assert key is not None
    assert entry is not None
    assert access_from_settings(Settings(api_keys=entry[0])).holder(key[0]) == "alice"
    access.main(["alice"])
    assert key[0] not in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["a b"], ["a:b"], [""]])
def test_the_command_refuses_names_that_an_entry_cannot_hold(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="Usage"):
        access.main(arguments)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:7860", True),
        ("localhost:7860", True),
        ("LOCALHOST", True),
        ("::1", True),
        ("[::1]:7860", True),
        ("", False),
        ("10.0.0.1:80", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:7860", False),
        ("[fe80::1]:7860", False),
        ("[", False),
    ],
)
def test_a_host_is_this_machine_or_is_not(host: str, here: bool) -> None:
    assert is_loopback(host) is here


def every_request(url: str, headers: dict[str, str]) -> list[httpx.Response]:
    """One to every route of the API, the document and one that is not there among them."""
    paths = ["/models", "/models/pocket", "/openapi.json", "/nothing", "/", "/models/"]
    posts = ["/images/generations", "/images/edits", "//images/generations"]
    with httpx.Client(base_url=f"{url}/v1", headers=headers, verify=False, timeout=60) as client:
        answers = [client.get(path) for path in paths]
        return answers + [client.post(path, json={"prompt": "a cat"}) for path in posts]


def codes_of(answers: list[httpx.Response]) -> set[tuple[int, str]]:
    return {(answer.status_code, answer.json()["error"]["code"]) for answer in answers}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer cb-wrong-horse"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": f"Bearer {hash_of_key(KEY)}"},
        {"Authorization": f"Bearer {KEY}x"},
        {"api-key": KEY},
    ],
)
def test_without_a_key_nothing_is_answered(tmp_path: Path, headers: dict[str, str]) -> None:
    engine = Squares()
    with serve_api(engine, tmp_path, Access("keys", {"alice": hash_of_key(KEY)})) as url:
        assert codes_of(every_request(url, headers)) == {(401, "invalid_api_key")}
    assert not engine.ended.acquire(blocking=False)


def test_with_its_key_a_client_draws_and_its_addresses_need_none(tmp_path: Path) -> None:
    rule = Access("keys", {"alice": hash_of_key(KEY)})
    with serve_api(Squares(), tmp_path, rule) as url:
        with client_of(url, KEY) as client:
            assert client.models.list().data
            answer = client.images.generate(prompt="a cat", response_format="url")
        with client_of(url, "cb-wrong-horse") as client, pytest.raises(openai.AuthenticationError):
            client.images.generate(prompt="a cat")
        assert answer.data is not None
        assert httpx.get(answer.data[0].url or "").status_code == 200
        document = httpx.get(f"{url}/v1/openapi.json", headers={"Authorization": f"Bearer {KEY}"})
    assert document.json()["components"]["securitySchemes"]
    assert KEY not in repr(rule)


def test_one_key_cannot_fill_the_line_of_all(tmp_path: Path) -> None:
    engine = Squares()
    engine.gate.clear()
    rule = Access("keys", {"alice": hash_of_key(KEY), "bob": hash_of_key("cb-bobs")})
    with serve_api(engine, tmp_path, rule) as url, client_of(url, KEY) as alice:
        streams = [alice.images.generate(prompt="a cat", stream=True) for _ in range(3)]
        with pytest.raises(openai.RateLimitError):
            alice.images.generate(prompt="a cat")
        engine.gate.set()
        with client_of(url, "cb-bobs") as bob:
            assert bob.images.generate(prompt="a cat").data
        assert all([event.type for event in stream] for stream in streams)


def test_an_api_that_is_off_says_so_everywhere(tmp_path: Path) -> None:
    with serve_api(Squares(), tmp_path, Access("off")) as url:
        assert codes_of(every_request(url, {})) == {(404, "api_off")}


def test_a_name_from_elsewhere_does_not_open_this_machine(tmp_path: Path) -> None:
    with serve_api(Squares(), tmp_path, Access("local")) as url:
        for host in ("evil.example", "192.168.1.5:7860", "127.0.0.1.evil.example"):
            assert codes_of(every_request(url, {"Host": host})) == {(403, "not_local")}
        for proxy in ("X-Forwarded-For", "X-Real-IP", "Forwarded"):  # and calls us 127.0.0.1
            assert codes_of(every_request(url, {proxy: "203.0.113.9"})) == {(403, "not_local")}
    with serve_api(Squares(), tmp_path, Access("open")) as url:
        answer = httpx.get(f"{url}/v1/models", headers={"Host": "crayons.example"})
    assert answer.status_code == 200


def test_a_web_page_from_elsewhere_cannot_ask(tmp_path: Path) -> None:
    origin = {"Origin": "https://evil.example"}
    with serve_api(Squares(), tmp_path) as url:
        asked = {**origin, "Access-Control-Request-Method": "POST"}
        before = httpx.options(f"{url}/v1/images/generations", headers=asked)
        simple = httpx.post(  # what a page may send without asking first
            f"{url}/v1/images/generations",
            content='{"prompt": "a cat"}',
            headers={**origin, "Content-Type": "text/plain"},
        )
    assert (before.status_code, simple.status_code) == (405, 400)
    assert "access-control-allow-origin" not in {*before.headers, *simple.headers}


def test_the_page_says_who_may_use_the_api(site: Served) -> None:
    config = httpx.get(f"{site.url}/config").json()
    assert "The Images API at /v1 is open to programs on this machine." in json.dumps(config)
