"""Whatever anybody sends to `/v1`, the answer is one that its own document describes.

Schemathesis makes the requests from the document: valid ones, and ones that break it on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from api_server import serve_api
from hypothesis import given, settings
from schemathesis import Case, GenerationMode
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import positive_data_acceptance
from squares import Squares


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseSchema]:
    with serve_api(Squares(), tmp_path_factory.mktemp("api")) as url:
        yield schemathesis.openapi.from_url(f"{url}/v1/openapi.json")


def check_answers(document: BaseSchema, method: str, path: str, **how: object) -> None:
    """Every check of schemathesis but `excluded_checks`, on `examples` requests of one `mode`."""
    mode = how.get("mode", GenerationMode.POSITIVE)
    excluded = how.get("excluded_checks", [])

    @given(case=document[path][method].as_strategy(generation_mode=mode))
    @settings(max_examples=how.get("examples", 10))
    def check(case: Case) -> None:
        case.call_and_validate(excluded_checks=excluded)

    check()


def test_the_document_has_no_other_route(document: BaseSchema) -> None:
    operations = [found.ok() for found in document.get_all_operations()]
    assert {(found.method.upper(), found.path) for found in operations} == {
        ("GET", "/models"),
        ("GET", "/models/{name}"),
        ("POST", "/images/generations"),
        ("POST", "/images/edits"),
    }


@pytest.mark.parametrize("path", ["/models", "/models/{name}"])
def test_models_are_answered_as_described(document: BaseSchema, path: str) -> None:
    check_answers(document, "GET", path)


def test_valid_requests_are_drawn_as_described(document: BaseSchema) -> None:
    check_answers(document, "POST", "/images/generations", examples=50)


def test_broken_requests_are_refused_as_described(document: BaseSchema) -> None:
    check_answers(
        document, "POST", "/images/generations", mode=GenerationMode.NEGATIVE, examples=60
    )


def test_edits_are_refused_as_described(document: BaseSchema) -> None:
    check_answers(document, "POST", "/images/edits", excluded_checks=[positive_data_acceptance])
