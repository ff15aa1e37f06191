"""What counts as JSON, and how a refusal says where."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, computed_field

from jobs_platform.domain.errors import (
    DataError,
    MetadataTooLargeError,
    OutputNotJsonError,
    PayloadNotJsonError,
    PayloadTooLargeError,
)
from jobs_platform.domain.payloads import (
    MAX_DEPTH,
    PAYLOAD_LIMIT_BYTES,
    from_json,
    make_storable,
    to_json,
)

NUMBER = UUID("0190163d-8694-739b-aea5-966c26f8ad91")


class Colour(Enum):
    RED = "red"


class Size(IntEnum):
    LARGE = 3


class Word(StrEnum):
    YES = "yes"


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Order:
    id: int
    placed: date


class Address(BaseModel):
    city: str
    price: Decimal = Decimal("1.50")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def shout(self) -> str:
        return self.city.upper()


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(3, 4), "03:04:00"),
        (Decimal("1.10"), "1.10"),
        (NUMBER, str(NUMBER)),
        (Colour.RED, "red"),
        (Size.LARGE, 3),
        (Word.YES, "yes"),
        (Point(1, 2), [1, 2]),
        ((1, (2,)), [1, [2]]),
        (Order(7, date(2026, 1, 2)), {"id": 7, "placed": "2026-01-02"}),
        ({Word.YES: 1}, {"yes": 1}),
        ({"deep": [Address(city="Bern")]}, {"deep": [{"city": "Bern", "price": "1.50"}]}),
    ],
)
def test_common_types_become_json(value: Any, plain: Any) -> None:
    assert json.loads(to_json(value)) == plain


def test_a_computed_field_is_part_of_an_output_but_not_of_a_payload() -> None:
    assert "shout" in to_json(Address(city="Bern"), what="output")
    assert "shout" not in to_json(Address(city="Bern"))


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def _cyclic() -> dict[str, Any]:
    value: dict[str, Any] = {"a": {}}
    value["a"]["b"] = value
    return value


@pytest.mark.parametrize(
    ("value", "path", "words"),
    [
        ({"items": [0, 1, 2, {"price": float("nan")}]}, "payload.items[3].price", "NaN is not"),
        (float("inf"), "payload", "Infinity is not"),
        ([-float("inf")], "payload[0]", "-Infinity is not"),
        ({"d": Decimal("NaN")}, "payload.d", "Decimal NaN"),
        ({"a": {1: "x"}}, "payload.a", 'write "1"'),
        ({None: 1}, "payload", "NoneType"),
        ({("a", "b"): 1}, "payload", "tuple"),
        ({"a": "x\0y"}, "payload.a", "NUL"),
        ({"x\0y": 1}, 'payload["x\\u0000y"]', "NUL"),
        ({"a": "\ud800"}, "payload.a", "surrogate"),
        ({"a b": {"\udfff": 1}}, 'payload["a b"]', "surrogate"),
        ({"s": {1, 2}}, "payload.s", "sorted list"),
        ([frozenset()], "payload[0]", "sorted list"),
        ({"b": b"x"}, "payload.b", "base64"),
        ({"o": object()}, "payload.o", "object is not JSON"),
        ({"c": Order}, "payload.c", "type is not JSON"),
        ({"n": 10**5000}, "payload.n", "5,001 digits"),
        (_cyclic(), "payload.a.b", "refers back to payload"),
        ({"f": lambda: None}, "payload.f", "function is not JSON"),
        ({"o": Order(1, float("nan"))}, "payload.o.placed", "NaN"),  # type: ignore[arg-type]
    ],
)
def test_what_is_not_json_is_refused_with_its_path(value: Any, path: str, words: str) -> None:
    with pytest.raises(PayloadNotJsonError) as caught:
        to_json(value)
    assert caught.value.path.startswith(path)
    assert words in str(caught.value)


def test_depth_is_refused_beyond_the_limit_and_taken_up_to_it() -> None:
    assert from_json(to_json(_nested(MAX_DEPTH - 1))) == _nested(MAX_DEPTH - 1)
    for depth in (MAX_DEPTH, 50_000):
        with pytest.raises(PayloadNotJsonError, match="nested deeper"):
            to_json(_nested(depth))


def test_a_value_that_appears_twice_is_no_cycle() -> None:
    shared = (1,)
    assert to_json({"a": shared, "b": shared}) == '{"a":[1],"b":[1]}'


def test_a_backslash_that_looks_like_a_nul_is_kept() -> None:
    text = "\\u0000 and \\ud800"
    assert from_json(to_json(text)) == text


def test_the_refusal_names_what_was_being_stored() -> None:
    with pytest.raises(OutputNotJsonError, match=r"output\.a: "):
        to_json({"a": {1}}, what="output")


def test_sizes_count_bytes_and_the_limit_itself_fits() -> None:
    fits = "x" * (PAYLOAD_LIMIT_BYTES - 2)
    assert len(to_json(fits)) == PAYLOAD_LIMIT_BYTES
    with pytest.raises(PayloadTooLargeError, match="3,145,729 bytes of JSON; the limit is 3,145,7"):
        to_json(fits + "x")
    with pytest.raises(PayloadTooLargeError):
        to_json("é" * (PAYLOAD_LIMIT_BYTES // 2))
    with pytest.raises(MetadataTooLargeError):
        to_json({"a": "x" * 262_144}, what="metadata")


@pytest.mark.parametrize("text", ["", "{", "nul", "{'a': 1}", "[" * 100_000])
def test_text_that_is_not_json_is_refused_readably(text: str) -> None:
    with pytest.raises(PayloadNotJsonError, match="payload: "):
        from_json(text)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_json_values_come_back_equal(value: Any) -> None:
    assert from_json(to_json(value)) == value


anything = st.recursive(
    st.none()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary(max_size=3)
    | st.decimals()
    | st.datetimes()
    | st.uuids(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(anything)
def test_any_value_becomes_storable_json_or_a_readable_refusal(value: Any) -> None:
    try:
        text = to_json(value)
    except DataError as refusal:
        text = to_json(str(refusal))
    assert "\0" not in json.dumps(from_json(text), ensure_ascii=False)
    text.encode()


@given(st.text(), st.integers(30, 100))
def test_diagnostics_are_made_storable_and_bounded(text: str, limit: int) -> None:
    stored = make_storable(text, limit=limit)
    assert "\0" not in stored
    assert len(stored) <= limit
    stored.encode()


def test_a_cut_diagnostic_says_how_much_is_missing() -> None:
    assert make_storable("a" * 100, limit=50).endswith("a… (50 more characters)")
    assert make_storable("plain", limit=5) == "plain"
