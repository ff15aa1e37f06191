"""Cron expressions: what is taken, and when they fire over daylight saving."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs_platform.domain.cron import ALIASES, Cron
from jobs_platform.domain.errors import InvalidCronError

NEW_YORK, BERLIN, LORD_HOWE = "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"

# expression, zone, local time to start after, local times with offset that follow
DAYLIGHT_SAVING = [
    # New York 2026: forward on 8 March at 02:00, back on 1 November at 02:00.
    ("30 2 * * *", NEW_YORK, "2026-03-07T12:00", ["08T03:00-04:00", "09T02:30-04:00"]),
    ("*/20 2 * * *", NEW_YORK, "2026-03-08T00:00", ["08T03:00-04:00", "09T02:00-04:00"]),
    ("0 * * * *", NEW_YORK, "2026-03-08T00:30", ["08T01:00-05:00", "08T03:00-04:00"]),
    ("30 * * * *", NEW_YORK, "2026-03-08T01:00", ["08T01:30-05:00", "08T03:30-04:00"]),
    ("30 1 * * *", NEW_YORK, "2026-10-31T12:00", ["01T01:30-04:00", "02T01:30-05:00"]),
    ("0,30 1 * * *", NEW_YORK, "2026-11-01T01:15", ["01T01:30-04:00", "02T01:00-05:00"]),
    (
        "0 * * * *",
        NEW_YORK,
        "2026-11-01T00:30",
        ["01T01:00-04:00", "01T01:00-05:00", "01T02:00-05:00"],
    ),
    (
        "*/30 * * * *",
        NEW_YORK,
        "2026-11-01T01:00",
        ["01T01:30-04:00", "01T01:00-05:00", "01T01:30-05:00", "01T02:00-05:00"],
    ),
    # Berlin 2026: forward on 29 March at 02:00, back on 25 October at 03:00.
    ("30 2 * * *", BERLIN, "2026-03-28T12:00", ["29T03:00+02:00", "30T02:30+02:00"]),
    ("30 2 * * *", BERLIN, "2026-10-24T12:00", ["25T02:30+02:00", "26T02:30+01:00"]),
    ("15 */1 * * *", BERLIN, "2026-10-25T02:00", ["25T02:15+02:00", "25T02:15+01:00"]),
    # Lord Howe 2026, by half an hour: back on 5 April at 02:00, forward on 4 October at 02:00.
    ("45 1 * * *", LORD_HOWE, "2026-04-04T12:00", ["05T01:45+11:00", "06T01:45+10:30"]),
    (
        "*/15 * * * *",
        LORD_HOWE,
        "2026-04-05T01:30",
        ["05T01:45+11:00", "05T01:30+10:30", "05T01:45+10:30", "05T02:00+10:30"],
    ),
    ("15 2 * * *", LORD_HOWE, "2026-10-03T12:00", ["04T02:30+11:00", "05T02:15+11:00"]),
    ("0 * * * *", LORD_HOWE, "2026-10-04T00:30", ["04T01:00+10:30", "04T03:00+11:00"]),
]


@pytest.mark.parametrize(("expression", "zone", "start", "expected"), DAYLIGHT_SAVING)
def test_daylight_saving_follows_the_documented_table(
    expression: str, zone: str, start: str, expected: list[str]
) -> None:
    place = ZoneInfo(zone)
    after = datetime.fromisoformat(start).replace(tzinfo=place)
    found = Cron(expression, timezone=zone).upcoming(len(expected), after=after)
    shown = [instant.astimezone(place).isoformat(timespec="minutes")[8:] for instant in found]
    assert shown == expected


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        # In the second 01:xx hour the fixed time is over for today, the hourly one is not.
        ("2026-11-01T05:45+00:00", ("2026-11-02T06:30", "2026-11-01T06:30")),
        ("2026-11-01T06:15+00:00", ("2026-11-02T06:30", "2026-11-01T06:30")),
        ("2026-11-01T06:30+00:00", ("2026-11-02T06:30", "2026-11-01T07:30")),
    ],
)
def test_an_instant_inside_the_repeated_hour_counts_as_what_it_is(
    start: str, expected: tuple[str, str]
) -> None:
    after = datetime.fromisoformat(start)
    fixed = Cron("30 1 * * *", timezone=NEW_YORK).next_after(after)
    hourly = Cron("30 * * * *", timezone=NEW_YORK).next_after(after)
    assert (fixed.isoformat()[:16], hourly.isoformat()[:16]) == expected


def test_results_are_in_utc_and_later_than_the_instant_itself() -> None:
    nine = datetime(2026, 1, 5, 9, tzinfo=UTC)
    found = Cron("0 9 * * *").next_after(nine)
    assert found == datetime(2026, 1, 6, 9, tzinfo=UTC)
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 0 L * *", ["2026-01-31", "2026-02-28"]),
        ("0 0 * * L5", ["2026-01-30", "2026-02-27"]),
        ("0 0 * * 7", ["2026-01-04", "2026-01-11"]),
        ("0 0 29 2 *", ["2028-02-29", "2032-02-29"]),
        ("0 0 * MAR THU", ["2026-03-05", "2026-03-12"]),
        ("@monthly", ["2026-02-01", "2026-03-01"]),
        ("0 0 30 2 1", ["2026-02-02", "2026-02-09"]),
    ],
)
def test_the_grammar_has_the_usual_extensions(expression: str, expected: list[str]) -> None:
    found = Cron(expression).upcoming(2, after=datetime(2026, 1, 1, 12, tzinfo=UTC))
    assert [instant.date().isoformat() for instant in found] == expected


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "has 0 fields"),
        ("* * * *", "has 4 fields"),
        ("* * * * * *", "Seconds and years are not supported"),
        ("* * * * * * *", "has 7 fields"),
        ("R * * * *", "random and hashed"),
        ("* * * * r", "random and hashed"),
        ("H H * * *", "random and hashed"),
        ("R(0-5) * * * *", "random and hashed"),
        ("0 0 31 2 *", "names a date that does not exist"),
        ("0 0 31 4,6,9,11 *", "names a date that does not exist"),
        ("*/90 * * * *", "leads out of 0-59"),
        ("59/15 * * * *", "leads out of 0-59"),
        ("*/0 * * * *", "leads out of 0-59"),
        ("0 */24 * * *", "leads out of 0-23"),
        ("0 0 1-31/40 * *", "leads out of 1-31"),
        ("*/x * * * *", "not a number"),
        ("*/-5 * * * *", "not a number"),
        ("60 * * * *", "cannot be read"),
        ("a * * * *", "cannot be read"),
        ("1,,2 * * * *", "cannot be read"),
        ("@dayly", 'Did you mean "@daily"'),
        ("@reboot", "is not one of"),
        (5, "is int, not text"),
        (None, "is NoneType, not text"),
    ],
)
def test_a_bad_expression_is_refused_with_the_reason(expression: str, words: str) -> None:
    with pytest.raises(InvalidCronError) as caught:
        Cron(expression)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("Europe/Berln", 'Did you mean "Europe/Berlin"'),
        ("", "unknown time zone ''"),
        ("America", "unknown time zone 'America'"),
        ("/etc/passwd", "unknown time zone"),
        (None, "unknown time zone None"),
    ],
)
def test_an_unknown_time_zone_is_refused_with_its_neighbours(zone: str, words: str) -> None:
    with pytest.raises(InvalidCronError) as caught:
        Cron("* * * * *", timezone=zone)
    assert words in str(caught.value)


def test_every_alias_and_some_expressions_are_described_in_words() -> None:
    assert Cron("0 9 * * MON-FRI").describe() == "At 09:00, Monday through Friday"
    assert all(Cron(alias).describe() != alias for alias in ALIASES)


crons = st.builds(
    lambda minute, hour: f"{minute} {hour} * * *",
    st.sampled_from(["0", "*/7", "13,44", "30"]),
    st.sampled_from(["*", "*/2", "1", "2", "1-3", "0,2"]),
)


@settings(max_examples=40)
@given(
    expression=crons,
    zone=st.sampled_from([NEW_YORK, BERLIN, LORD_HOWE, "UTC"]),
    month=st.sampled_from([3, 4, 10, 11]),
    minutes=st.integers(0, 31 * 24 * 60),
)
def test_instants_ascend_and_going_on_from_one_gives_the_next(
    expression: str, zone: str, month: int, minutes: int
) -> None:
    after = datetime(2026, month, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    cron = Cron(expression, timezone=zone)
    found = [after, *cron.upcoming(8, after=after)]
    assert all(one < next_one for one, next_one in pairwise(found))
    assert found[2] == cron.next_after(found[1])
