"""What stands before every route: headers, closed routes, and the visitor's cookie."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from serving import serve_asgi

from dalle_app.protection import (
    BLOCKED,
    COOKIE,
    HEADERS,
    BlockedRoutes,
    SecurityHeaders,
    VisitorCookie,
    visitor_from_cookies,
)


@pytest.fixture(scope="module")
def server() -> Iterator[httpx.Client]:
    app = FastAPI(openapi_url=None)
    app.add_middleware(VisitorCookie)
    app.add_middleware(BlockedRoutes)
    app.add_middleware(SecurityHeaders)

    @app.get("/{path:path}")
    def anything(path: str) -> PlainTextResponse:
        return PlainTextResponse(f"reached {path}")

    with serve_asgi(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture
def http(server: httpx.Client) -> httpx.Client:
    """A browser that has never been here."""
    server.cookies.clear()
    return server


def test_every_answer_carries_the_headers(http):
    for path in ("/", "/elsewhere", "/gradio_api/deep_link"):
        headers = http.get(path).headers
        assert {name: headers[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize("path", [*BLOCKED, "//gradio_api///deep_link", "/gradio_api/deep_link/",
                                  "/gradio_api/proxy=http://127.0.0.1/",
                                  "/gradio_api/%64eep_link?session_hash=x"])  # fmt: skip
def test_closed_routes_are_closed_however_they_are_spelt(http, path):
    for method in ("GET", "POST", "HEAD"):
        answer = http.request(method, str(http.base_url).rstrip("/") + path)
        assert answer.status_code == 404
        assert "reached" not in answer.text


def test_other_routes_are_open(http):
    assert http.get("/gradio_api/queue/join").text == "reached gradio_api/queue/join"


def test_a_first_visit_gets_a_random_id_that_scripts_cannot_read(http):
    first = http.get("/").headers["set-cookie"]
    http.cookies.clear()
    assert http.get("/").headers["set-cookie"] != first
    assert f"{COOKIE}=" in first
    assert "HttpOnly" in first
    assert "SameSite=Lax" in first
    assert "Secure" not in first


def test_a_visitor_with_an_id_keeps_it_and_other_paths_give_none(http):
    assert "set-cookie" not in http.get("/elsewhere").headers
    visitor = http.get("/").cookies[COOKIE]
    assert "set-cookie" not in http.get("/").headers
    assert visitor_from_cookies(dict(http.cookies)) == visitor


@pytest.mark.parametrize("bad", ["", "x", "F" * 32, "f" * 33, "../../etc/passwd"])
def test_an_id_that_is_none_of_ours_is_replaced(http, bad):
    assert visitor_from_cookies({COOKIE: bad}) == ""
    assert "set-cookie" in http.get("/", headers={"Cookie": f"{COOKIE}={bad}"}).headers


def test_behind_https_the_cookie_lives_in_a_frame_of_another_site_too(http):
    cookie = http.get("/", headers={"X-Forwarded-Proto": "https"}).headers["set-cookie"]
    assert "SameSite=None; Secure; Partitioned" in cookie
