"""Who may ask what server with whose key in the API tab, and what its widgets mean."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from squares import Squares

from dalle_app.engines.address import host_of, is_openai
from dalle_app.errors import InvalidRequest, ProviderError
from dalle_app.image_models import ImageModel, image_model, newest_model
from dalle_app.run_store import RunStore
from dalle_app.settings import Settings
from dalle_app.studio import Studio
from dalle_app.ui.api_form import Form, form_from_widgets, model_label, price_line
from dalle_app.ui.connection import Connections

KEY, OWNERS = "sk-canary-1", "sk-owner"
HERE, AWAY = "127.0.0.1:7860", "crayons.example.org"  # Host headers
GPT = image_model("gpt-image-2")
FORM = Form("a blue harp", "gpt-image-2", "1024x1024", "low", 3, "auto", "png", 100,
            "owner", "", KEY, 5)  # fmt: skip


@pytest.fixture
def connections(tmp_path: Path) -> Any:
    def made(**settings: Any) -> Connections:
        studio = Studio([Squares()], RunStore(tmp_path, 3600, 10**8))
        return Connections(Settings(**settings), studio)

    return made


def test_this_app_needs_neither_server_nor_key(connections):
    connection = connections(host="0.0.0.0").connect("here", "", KEY, AWAY)
    assert connection.server is None
    assert connection.label == "this app · no key needed"


def test_on_this_machine_any_server_may_be_named_and_nobody_elses_key_goes_there(connections):
    here = connections(openai_api_key=OWNERS)
    connection = here.connect("other", "http://10.0.0.7:8080/v1", "", HERE)
    assert connection.server.keyless
    assert connection.label == "10.0.0.7:8080 · no key"
    named = here.connect("other", "http://10.0.0.7:8080/v1", KEY, HERE)
    assert named.server.api_key == KEY


@pytest.mark.parametrize(
    ("settings", "host"),
    [({"host": "0.0.0.0"}, AWAY), ({"host": "0.0.0.0"}, HERE), ({"host": "127.0.0.1"}, AWAY)],
)
@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:11434/v1", "http://169.254.169.254/", "https://evil.example/v1",
                "https://api.openai.com.evil.example/v1", "http://localhost:8080/v1",
                "https://images.example.org.:8080/v1"],
)  # fmt: skip
def test_elsewhere_no_address_leads_anywhere_but_to_listed_servers(
    connections, settings, host, address
):
    listed = connections(api_hosts="images.example.org:8080, two.example.org", **settings)
    with pytest.raises(ProviderError, match="DALLE_API_HOSTS"):
        listed.connect("other", address, KEY, host)
    assert listed.connect("other", "https://IMAGES.example.org:8080/v1", KEY, host).server
    assert listed.connect("other", "https://two.example.org/v1", KEY, host).server


def test_visitors_are_offered_an_address_only_where_one_would_be_allowed(connections):
    assert connections().typing
    assert connections(host="0.0.0.0", api_hosts="two.example.org").typing
    assert not connections(host="0.0.0.0").typing


@pytest.mark.parametrize(
    ("settings", "host", "usable"),
    [
        ({}, HERE, True),
        ({}, AWAY, False),  # a proxy shows this machine to the world
        ({"host": "0.0.0.0"}, HERE, False),
        ({"host": "0.0.0.0", "share_key": "yes"}, AWAY, True),
    ],
)
def test_the_owners_key_is_for_visitors_only_if_the_owner_says_so(
    connections, settings, host, usable
):
    rules = connections(openai_api_key=OWNERS, **settings)
    if usable:
        connection = rules.connect("owner", "", "", host)
        assert (connection.owners, connection.server.api_key) == (True, OWNERS)
        assert connection.label == "OpenAI · the owner's key"
    else:
        with pytest.raises(ProviderError, match="needs a key"):
            rules.connect("owner", "", "", host)
    own = rules.connect("owner", "", f" {KEY} ", host)
    assert (own.owners, own.server.api_key) == (False, KEY)
    assert own.label == "OpenAI · key for this visit only"
    assert KEY not in repr(own)


def test_the_owners_limit_holds_for_the_owners_key_and_a_visitors_own_for_theirs(connections):
    rules = connections(visit_dollars=2)
    assert rules.purse("a", 100, owners=True).cap == 2
    assert rules.purse("a", 1, owners=True).cap == 1
    assert rules.purse("b", 100, owners=False).cap == 100
    rules.purse("a", 100, owners=True).reserve(1.5)
    assert (rules.spent("a"), rules.spent("b"), rules.spent("nobody")) == (1.5, 0, 0)


@pytest.mark.parametrize("limit", [None, "5", True, -1, float("nan"), float("inf")])
def test_a_limit_that_is_no_amount_is_refused(connections, limit):
    with pytest.raises(InvalidRequest, match="amount of dollars"):
        connections().purse("a", limit, owners=False)


def test_models_are_openais_where_openai_draws_and_ours_where_we_do(connections):
    rules = connections(openai_model="gpt-image-2")
    assert next(iter(rules.models("owner"))) == "gpt-image-2"
    assert next(iter(connections().models("owner"))) == newest_model(date.today()).name
    assert rules.models("owner")["dall-e-2"].retired
    assert not rules.models("other")["dall-e-2"].retired
    assert list(rules.models("here")) == ["pocket"]
    told = ImageModel("dall-e-2", most=1)
    assert rules.model("owner", "dall-e-2", {"dall-e-2": told}) is told
    elsewhere = connections(openai_base_url="http://127.0.0.1:8080/v1")
    assert elsewhere.owners_server == "127.0.0.1:8080"
    assert not elsewhere.models("owner")["dall-e-2"].retired


def test_openais_address_is_told_from_those_that_look_like_it():
    assert is_openai("https://api.openai.com/v1")
    assert not is_openai("https://api.openai.com.example.org/v1")
    assert host_of(" https://API.OpenAI.com/v1 ") == "api.openai.com"


def test_only_what_the_model_allows_and_would_not_do_anyway_is_sent():
    form = replace(FORM, background="transparent", format="webp", compression=60)
    assert form.options(GPT) == {
        "quality": "low", "background": "transparent", "output_format": "webp",
        "output_compression": 60,
    }  # fmt: skip
    assert replace(form, quality="auto", background="auto", format="png").options(GPT) == {}
    assert form.options(ImageModel("unheard-of")) == {}
    assert form.request(ImageModel("pocket", sizes=())).size == ""
    assert KEY not in repr(form)


def test_empty_boxes_are_empty_and_a_missing_model_is_asked_for():
    form = form_from_widgets(
        [None, " gpt-image-2 ", None, None, None, None, None, 100, "other", None, None, None]
    )
    assert (form.model, form.number, form.address, form.key, form.limit) == (
        "gpt-image-2", 1, "", "", None,
    )  # fmt: skip
    with pytest.raises(InvalidRequest, match="prompt is empty"):
        form.request(GPT)
    with pytest.raises(InvalidRequest, match="No model is chosen"):
        replace(FORM, model="").request(GPT)


def test_the_price_stands_there_before_where_it_is_known():
    assert price_line(FORM, GPT, True, 0) == "3 pictures: about $0.018."
    assert price_line(FORM, GPT, True, 0.5).endswith("Spent in this visit: $0.50.")
    assert "after the drawing" in price_line(replace(FORM, quality="auto"), GPT, True, 0)
    assert "bill" in price_line(FORM, image_model("dall-e-2"), True, 0)
    assert "server's own" in price_line(FORM, GPT.elsewhere(), False, 0)
    assert "costs nothing" in price_line(replace(FORM, where="here"), GPT, False, 0)


def test_a_retired_model_says_so_in_the_list():
    assert model_label(image_model("dall-e-2")) == "dall-e-2 · retired on 12 May 2026"
    assert model_label(GPT) == "gpt-image-2"
