"""The arithmetic of retries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs_platform.domain.errors import InvalidOptionError
from jobs_platform.domain.retrying import MAX_ATTEMPTS_CAP, RetryPolicy


def test_delays_grow_by_the_factor_up_to_the_maximum() -> None:
    policy = RetryPolicy(randomize=False, max_timeout_seconds=5)
    assert [policy.delay_seconds(number) for number in (1, 2, 3, 4)] == [1, 2, 4, 5]


def test_a_randomised_delay_is_up_to_twice_as_long_but_within_the_maximum() -> None:
    policy = RetryPolicy(min_timeout_seconds=10, max_timeout_seconds=30)
    assert policy.delay_seconds(1, random=lambda: 0.0) == 10
    assert policy.delay_seconds(1, random=lambda: 0.5) == 15
    assert policy.delay_seconds(2, random=lambda: 0.9) == 30


def test_a_lost_attempt_waits_a_quarter_of_a_second_at_first() -> None:
    policy = RetryPolicy(max_timeout_seconds=1)
    assert [policy.lost_attempt_delay_seconds(number) for number in (1, 2, 3, 4)] == [
        0.25,
        0.5,
        1,
        1,
    ]


def test_the_last_of_all_attempts_has_a_delay_within_the_maximum_whatever_the_factor() -> None:
    policy = RetryPolicy(factor=1e6)
    assert policy.delay_seconds(MAX_ATTEMPTS_CAP) == policy.max_timeout_seconds


@given(
    number=st.integers(1, MAX_ATTEMPTS_CAP),
    factor=st.floats(1, 100),
    low=st.floats(0, 100),
    extra=st.floats(0, 1000),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_every_delay_lies_between_minimum_and_maximum(
    number: int, factor: float, low: float, extra: float, chance: float
) -> None:
    policy = RetryPolicy(factor=factor, min_timeout_seconds=low, max_timeout_seconds=low + extra)
    delay = policy.delay_seconds(number, random=lambda: chance)
    assert policy.min_timeout_seconds <= delay <= policy.max_timeout_seconds


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"max_attempts": 0}, "between 1 and 250"),
        ({"max_attempts": 251}, "between 1 and 250"),
        ({"max_attempts": 2.5}, "whole number"),
        ({"max_attempts": True}, "whole number"),
        ({"factor": 0.5}, "less than 1"),
        ({"factor": float("nan")}, "finite"),
        ({"factor": "2"}, "finite"),
        ({"min_timeout_seconds": -1}, "less than 0"),
        ({"min_timeout_seconds": 61}, "below retry.min_timeout"),
        ({"randomize": "yes"}, "True or False"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidOptionError, match="retry") as caught:
        RetryPolicy(**wrong)
    assert words in str(caught.value)
