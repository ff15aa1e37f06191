"""Durations as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs_platform.domain.durations import MAX_SECONDS, to_seconds, to_text
from jobs_platform.domain.errors import InvalidDurationError


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30s", 30),
        ("1h52m", 6720),
        ("1h 52m 18s", 6738),
        ("7d", 604_800),
        ("1w", 604_800),
        ("500ms", 0.5),
        ("1.5h", 5400),
        (" 2m ", 120),
        ("0s", 0),
        (timedelta(minutes=2), 120),
        (90, 90),
        (0.25, 0.25),
    ],
)
def test_every_way_to_write_a_duration_gives_seconds(value: object, seconds: float) -> None:
    assert to_seconds(value) == seconds


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("30", 'did you mean "30s"?'),
        ("-5s", "is negative"),
        ("5 minutes", "units are"),
        ("5M", "units are"),
        ("1m1h", "largest first"),
        ("1s2s", "each unit once"),
        ("1h" * 60, "too long"),
        ("5s!", "units are"),
        (-1, "less than zero"),
        (timedelta(seconds=-1), "less than zero"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        (10**400, "finite"),
        (MAX_SECONDS * 2, "more than"),
        (True, "is bool"),
        (None, "is NoneType"),
        ([1], "is list"),
    ],
)
def test_a_bad_duration_is_refused_with_what_to_write(value: object, words: str) -> None:
    with pytest.raises(InvalidDurationError, match="Write a timedelta") as caught:
        to_seconds(value)
    assert words in str(caught.value)


def test_the_error_names_the_field_and_its_bound() -> None:
    with pytest.raises(InvalidDurationError, match=r"max_duration '1s' is less than 5s"):
        to_seconds("1s", name="max_duration", minimum=5)


@given(st.integers(min_value=0, max_value=int(MAX_SECONDS * 1000)))
def test_text_reads_back_to_the_same_milliseconds(milliseconds: int) -> None:
    text = to_text(milliseconds / 1000)
    assert round(to_seconds(text) * 1000) == milliseconds


@given(st.text(max_size=150))
def test_any_text_is_read_or_refused_but_never_breaks(text: str) -> None:
    try:
        seconds = to_seconds(text)
    except InvalidDurationError:
        return
    assert 0 <= seconds <= MAX_SECONDS
