"""Delays, limits and keys: what reaches the engine, and which contradictions are refused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from jobs_platform import (
    BatchItem,
    Debounce,
    InvalidDurationError,
    InvalidOptionError,
    InvalidTaskError,
    Queue,
    RateLimit,
    batch,
    runs,
    task,
    tasks,
)
from jobs_platform.domain.configuration import Configuration
from jobs_platform.domain.ids import encode, new_uuid
from jobs_platform.sdk import ports
from tests.unit.fakes import RecordingEngine

SOON = datetime(2090, 1, 1, tzinfo=UTC)


@pytest.fixture
def plain(engine: RecordingEngine) -> Any:
    @task
    def plain(payload: Any) -> None: ...

    return plain


def test_a_plain_trigger_is_plain(plain: Any, engine: RecordingEngine) -> None:
    plain.trigger(1, delay=None, ttl=None, concurrency_key=None, debounce=None, rate_weight=None)
    plain.trigger(1, ttl="1m", max_duration="1m", queue="mails")
    assert [request.is_plain for request in engine.requests] == [True, True]
    assert [request.names_queue for request in engine.requests] == [False, True]


@pytest.mark.parametrize(
    ("delay", "seconds", "until"),
    [
        ("30s", 30.0, None),
        (0, 0.0, None),
        (timedelta(minutes=1), 60.0, None),
        (SOON, None, SOON),
        (datetime(2001, 1, 1, tzinfo=timezone(timedelta(hours=2))), None, "same"),
    ],
)
def test_a_delay_is_a_duration_or_an_instant(
    plain: Any, engine: RecordingEngine, delay: Any, seconds: float | None, until: Any
) -> None:
    """An instant that is past means now, by the clock of the database."""
    plain.trigger(1, delay=delay)
    request = engine.requests[0]
    assert request.delay_seconds == seconds
    assert request.delay_until == (delay if until == "same" else until)
    assert not request.is_plain


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"delay": -1}, InvalidDurationError, "less than zero"),
        ({"delay": timedelta(seconds=-1)}, InvalidDurationError, "less than zero"),
        ({"delay": "soon"}, InvalidDurationError, "cannot be read"),
        ({"delay": datetime(2090, 1, 1)}, InvalidOptionError, "no time zone"),  # noqa: DTZ001
        ({"delay": datetime(2190, 1, 1, tzinfo=UTC)}, InvalidOptionError, "100 years"),
        ({"ttl": 0}, InvalidDurationError, "not positive"),
        ({"ttl": -5}, InvalidDurationError, "less than zero"),
        ({"max_duration": "10ms"}, InvalidDurationError, "less than 1s"),
        ({"concurrency_key": ""}, InvalidOptionError, "is empty"),
        ({"concurrency_key": "  "}, InvalidOptionError, "is empty"),
        ({"concurrency_key": []}, InvalidOptionError, "is empty"),
        ({"concurrency_key": ["a", ""]}, InvalidOptionError, "is empty"),
        ({"concurrency_key": 7}, InvalidOptionError, "neither text nor a list"),
        ({"concurrency_key": {"a"}}, InvalidOptionError, "neither text nor a list"),
        ({"concurrency_key": "k" * 513}, InvalidOptionError, "more than 512"),
        ({"concurrency_key": "a\0b"}, InvalidOptionError, "cannot store"),
        ({"concurrency_key": "\ud800"}, InvalidOptionError, "cannot store"),
        ({"concurrency_key": [str(n) for n in range(11)]}, InvalidOptionError, "more than 10"),
        ({"rate_weight": 0}, InvalidOptionError, "from 1 to"),
        ({"rate_weight": True}, InvalidOptionError, "from 1 to"),
        ({"idempotency_key": ""}, InvalidOptionError, "is empty"),
        ({"idempotency_key": ["a"]}, InvalidOptionError, "idempotency_keys.create"),
        ({"idempotency_key": "k" * 2_049}, InvalidOptionError, "more than 2,048"),
        ({"idempotency_key": "k", "idempotency_key_ttl": 0}, InvalidDurationError, "less than"),
        ({"idempotency_key_ttl": "60s"}, InvalidOptionError, "without an idempotency_key"),
        ({"debounce": "key"}, InvalidOptionError, "is not a Debounce"),
        ({"debounce": Debounce("k", 1), "delay": 1}, InvalidOptionError, "delay of its own"),
        ({"debounce": Debounce("k", 1), "idempotency_key": "a"}, InvalidOptionError, "together"),
        (
            {"queue": Queue("q", on_conflict="refuse"), "concurrency_key": ["a", "b"]},
            InvalidOptionError,
            "several keys",
        ),
        (
            {"queue": Queue("q", rate_limit=RateLimit(5, "1s")), "rate_weight": 6},
            InvalidOptionError,
            "could never start",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    plain: Any, engine: RecordingEngine, options: dict[str, Any], kind: Any, words: str
) -> None:
    with pytest.raises(kind) as caught:
        plain.trigger(1, **options)
    assert words in str(caught.value)
    assert engine.requests == []


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Debounce("", 1), "is empty"),
        (lambda: Debounce("k" * 513, 1), "more than 512"),
        (lambda: Debounce("k", 0), "less than"),
        (lambda: Debounce("k", 1, mode="trailling"), 'Did you mean "trailing"'),  # type: ignore[arg-type]
        (lambda: Debounce("k", "5s", max_delay="5s"), "not more than the delay"),
        (lambda: Queue("q", concurrency_limit=0), "from 1 to"),
        (lambda: Queue("q", key_concurrency_limit=-1), "from 1 to"),
        (lambda: Queue("q", max_length=0), "from 1 to"),
        (lambda: Queue("q", on_conflict="refused"), 'Did you mean "refuse"'),  # type: ignore[arg-type]
        (lambda: Queue("q", rate_limit=100), "is not a RateLimit"),  # type: ignore[arg-type]
        (lambda: RateLimit(0, "1m"), "from 1 to"),
        (lambda: RateLimit(1, 0), "less than"),
        (lambda: RateLimit(1, "1m", on_limit="wait"), "is not one of"),  # type: ignore[arg-type]
        (lambda: RateLimit(1, "1m", per_key=1), "True or False"),  # type: ignore[arg-type]
    ],
)
def test_limits_that_mean_nothing_are_refused(make: Any, words: str) -> None:
    with pytest.raises((InvalidOptionError, InvalidDurationError)) as caught:
        make()
    assert words in str(caught.value)


def test_concurrency_keys_keep_their_order_without_repetitions(
    plain: Any, engine: RecordingEngine
) -> None:
    plain.trigger(1, concurrency_key="a")
    plain.trigger(1, concurrency_key=["b", "a", "b"])
    assert [request.concurrency_keys for request in engine.requests] == [("a",), ("b", "a")]


@pytest.mark.parametrize(
    "trigger",
    [
        lambda plain, debounce: plain.batch_trigger([1, BatchItem(1, debounce=debounce)]),
        lambda plain, debounce: plain.batch_trigger([1], debounce=debounce),
        lambda _, debounce: batch.trigger([("plain", 1, {"debounce": debounce})]),
    ],
)
def test_debounce_in_a_batch_is_refused(plain: Any, engine: RecordingEngine, trigger: Any) -> None:
    with pytest.raises(InvalidOptionError, match="cannot be in a batch"):
        trigger(plain, Debounce("k", 1))
    assert engine.requests == []


def test_options_win_over_the_task_and_the_task_over_the_project(engine: RecordingEngine) -> None:
    ports.bind(configuration=Configuration(ttl_seconds=3.0, max_duration_seconds=4.0))

    @task(ttl="10s", max_duration="20s")
    def own() -> None: ...

    @task
    def none() -> None: ...

    own.trigger(ttl="1s", max_duration="2s")
    own.trigger()
    none.trigger()
    found = [(request.ttl_seconds, request.max_duration_seconds) for request in engine.requests]
    assert found == [(1.0, 2.0), (10.0, 20.0), (3.0, 4.0)]


def test_time_to_live_that_is_not_positive_is_refused_at_the_task(engine: RecordingEngine) -> None:
    with pytest.raises(InvalidTaskError, match="not positive"):

        @task(ttl=0)
        def never() -> None: ...


def test_queue_that_states_limits_is_told_with_each_trigger(engine: RecordingEngine) -> None:
    mails = Queue("mails", concurrency_limit=2)

    @task(queue=mails)
    def mail() -> None: ...

    @task(queue=Queue("plain"))
    def bare() -> None: ...

    mail.trigger()
    mail.trigger(queue="mails")
    mail.trigger(queue="other")
    mail.trigger(queue=Queue("tenant", key_concurrency_limit=2))
    bare.trigger()
    told = [(request.queue, request.queue_limits) for request in engine.requests]
    assert told == [
        ("mails", mails),
        ("mails", mails),
        ("other", None),
        ("tenant", Queue("tenant", key_concurrency_limit=2)),
        ("plain", None),
    ]


def test_definition_of_a_queue_says_everything_in_json() -> None:
    rate = RateLimit(100, "1m", per_key=True, on_limit="refuse")
    queue = Queue("q", on_conflict="refuse", rate_limit=rate, max_length=9)
    assert queue.definition() == {
        "concurrency_limit": None,
        "key_concurrency_limit": None,
        "on_conflict": "refuse",
        "rate_limit": 100,
        "rate_window_seconds": 60.0,
        "rate_per_key": True,
        "rate_on_limit": "refuse",
        "max_length": 9,
    }


def test_far_task_has_the_limits_that_workers_have_stored(engine: RecordingEngine) -> None:
    engine.known = {"far": {"queue": "q", "ttl_seconds": 5.0, "max_duration_seconds": 6.0}}
    tasks.trigger("far")
    request = engine.requests[0]
    assert (request.ttl_seconds, request.max_duration_seconds) == (5.0, 6.0)


def test_reschedule_takes_what_delay_takes(engine: RecordingEngine) -> None:
    run_id = new_uuid()
    runs.reschedule(encode("run", run_id), "1h")
    asyncio.run(runs.areschedule(encode("run", run_id), SOON))
    assert engine.calls == [
        ("reschedule", run_id, 3_600.0, None),
        ("reschedule", run_id, None, SOON),
    ]
    with pytest.raises(InvalidDurationError):
        runs.reschedule(encode("run", run_id), -1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"debounce": Debounce("k", "5s")}, "task.trigger(payload, debounce=…)"),
        ({"idempotency_key": "k"}, "task.trigger(payload, idempotency_key=…)"),
        ({"concurrency_limit": 5}, '@task(queue=Queue("…", concurrency_limit=…))'),
        ({"rate_limit": RateLimit(5, "1s")}, '@task(queue=Queue("…", rate_limit=…))'),
    ],
)
def test_an_option_that_tasks_do_not_have_is_told_its_place(
    engine: RecordingEngine, options: Any, words: str
) -> None:
    with pytest.raises(InvalidTaskError) as caught:
        task(**options)(lambda payload: None)
    assert words in str(caught.value)


def test_a_machine_of_the_projects_own_may_be_asked_for(
    plain: Any, engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Configuration.from_mapping({"MACHINES": {"gpu": {"cpu": 8, "memory_gb": 64}}})
    monkeypatch.setattr(ports._platform, "configuration", own)
    plain.trigger(1, machine="gpu")
    assert engine.requests[-1].worker_queue == "gpu"
    with pytest.raises(InvalidOptionError, match=r"is not one of .*, gpu"):
        plain.trigger(1, machine="cpu")
