"""Identifiers, inside and outside."""

from __future__ import annotations

from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs_platform.domain.errors import InvalidIdError
from jobs_platform.domain.ids import decode, encode, new_uuid


def test_new_ids_ascend_and_are_of_version_seven() -> None:
    made = [new_uuid() for _ in range(5000)]
    assert all(one < other for one, other in pairwise(made))
    assert {(value.version, value.variant) for value in made} == {(7, made[0].variant)}


@given(st.uuids())
def test_the_text_of_an_id_gives_the_id_back(value: UUID) -> None:
    assert decode("run", encode("run", value)) == value


@given(st.uuids(), st.uuids())
def test_texts_sort_like_their_ids(one: UUID, other: UUID) -> None:
    assert (encode("run", one) < encode("run", other)) == (one < other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "run_",
        "batch_00000000000000000000000000",
        "run_0000000000000000000000000",
        "run_000000000000000000000000000",
        "run_0000000000000000000000000u",
        "run_0000000000000000000000000A",
        "run_zzzzzzzzzzzzzzzzzzzzzzzzzz",
        " run_00000000000000000000000000",
        None,
        5,
        b"run_00000000000000000000000000",
    ],
)
def test_text_that_is_no_id_of_this_kind_is_refused(text: object) -> None:
    with pytest.raises(InvalidIdError, match='expected "run_" and 26') as caught:
        decode("run", text)  # type: ignore[arg-type]
    assert caught.value.text == text


@given(st.text(max_size=40))
def test_any_text_is_an_id_or_refused(text: str) -> None:
    try:
        value = decode("run", text)
    except InvalidIdError:
        return
    assert encode("run", value) == text
