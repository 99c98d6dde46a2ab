"""ImageRequest and its one reader refuse what cannot be drawn, in one sentence that names it."""

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dalle_app.errors import InvalidRequest
from dalle_app.request import MAX_SEED, ImageRequest, Snapshot, request_from_fields


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", ""),
        ("prompt", " \n\t\u2003"),
        ("prompt", "x" * 100_000),
        ("prompt", ["a cat"]),
        ("grid", "0"),
        ("grid", "10"),
        ("grid", "three"),
        ("grid", [[[]]]),
        ("count", 37),
        ("count", True),
        ("seed", "-1"),
        ("seed", "1.5"),
        ("seed", 1.5),
        ("seed", str(2**60)),
        ("seed", 2**60),
        ("seed", "abc"),
        ("seed", "+-5"),
        ("seed", "9" * 5000),
        ("seed", math.inf),
        ("temperature", "0"),
        ("temperature", "nan"),
        ("temperature", math.nan),
        ("temperature", 10**400),
        ("temperature", "warm"),
        ("top_k", "0"),
        ("top_k", "20000"),
        ("guidance", "-1"),
        ("guidance", math.inf),
        ("guidance", {}),
        ("model", "m" * 201),
        ("model", 7),
        ("negative_prompt", "x" * 4001),
        ("size", "huge"),
        ("size", 512),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name_in_one_short_sentence(field, value):
    with pytest.raises(InvalidRequest) as caught:
        request_from_fields({"prompt": "a cat", field: value})
    assert caught.value.field in (field, "count")
    assert len(str(caught.value)) < 160
    assert str(caught.value).endswith(".")


def test_numbers_that_no_float_can_hold_are_refused_and_not_a_crash():
    with pytest.raises(InvalidRequest, match="temperature"):
        ImageRequest("a cat", temperature=10**400)


@pytest.mark.parametrize("seed", [0, 1, MAX_SEED, "0", str(MAX_SEED), " 7 ", 7.0])
def test_every_seed_in_range_is_kept_as_it_is_and_zero_is_one_like_any_other(seed):
    assert request_from_fields({"prompt": "a cat", "seed": seed}).settle().seed == int(seed)


def test_a_blank_seed_becomes_a_random_one_that_is_shown():
    seeds = {request_from_fields({"prompt": "a cat", "seed": " "}).settle().seed for _ in range(20)}
    assert len(seeds) == 20
    assert all(0 <= seed <= MAX_SEED for seed in seeds if seed is not None)


def test_a_grid_is_the_square_of_its_side():
    request = request_from_fields({"prompt": "a cat", "grid": "4"})
    assert (request.count, request.side) == (16, 4)
    assert [ImageRequest("x", count=n).side for n in (1, 2, 4, 5, 9, 10, 36)] == [
        1, 2, 2, 3, 3, 4, 6,
    ]  # fmt: skip


def test_unknown_fields_are_ignored_and_blank_ones_mean_the_default():
    given_fields = {"prompt": "a cat", "temperature": "", "top_k": None, "colour": "red"}
    assert request_from_fields(given_fields) == ImageRequest("a cat")


@given(st.text(max_size=200))
def test_any_text_is_either_a_prompt_that_utf8_carries_or_refused(text):
    try:
        prompt = ImageRequest(text).prompt
    except InvalidRequest:
        assert not text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()
    else:
        assert ImageRequest(prompt).prompt == prompt
        prompt.encode()


@given(
    st.dictionaries(
        st.sampled_from(["prompt", "seed", "count", "grid", "top_k", "temperature", "guidance",
                         "negative_prompt", "model", "size"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=2),
        ),
    )
)  # fmt: skip
def test_whatever_the_fields_hold_the_answer_is_a_request_or_a_refusal(fields):
    with suppress(InvalidRequest):
        assert 1 <= request_from_fields(fields).count <= 36


def test_a_snapshot_knows_its_row_and_whether_it_is_the_last():
    middle, last = Snapshot(33, 64, rows=8), Snapshot(64, 64, rows=8)
    assert (middle.row, middle.final) == (4, False)
    assert (last.row, last.final) == (8, True)
