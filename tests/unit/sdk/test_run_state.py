"""What is only there inside a run, and what the SDK's small values refuse."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from jobs_platform import (
    InvalidDurationError,
    InvalidOptionError,
    OutsideRunError,
    Queue,
    Retry,
    ctx,
    hooks,
    locals,  # noqa: A004 - the public name
    logger,
    tags,
    task,
    usage,
)
from jobs_platform.domain.errors import HookError
from jobs_platform.sdk.logger import fields_text
from jobs_platform.sdk.retry import RetryAfter, RetryAt, SkipRetry

pytestmark = pytest.mark.usefixtures("fresh_process")


@pytest.mark.parametrize(
    "call",
    [
        lambda: ctx.run,
        lambda: locals.get("a"),
        lambda: locals.set("a", 1),
        lambda: tags.add("a"),
        usage.current,
    ],
)
def test_outside_a_run_the_error_names_what_was_asked_for(call: Any) -> None:
    with pytest.raises(OutsideRunError, match="only there while a run executes"):
        call()


def test_usage_and_locals_belong_to_one_run() -> None:
    @task
    def look() -> Any:
        before = locals.get("n", 0)
        locals.set("n", before + 1)
        with pytest.raises(KeyError):
            locals.get_or_raise("m")
        return before, locals.get_or_raise("n"), usage.current()

    for _ in range(2):
        before, after, used = look.local()
        assert (before, after, used.attempt_number) == (0, 1, 1)
        assert used.duration_ms >= 0
        assert used.cpu_seconds >= 0


def test_outside_a_run_lines_go_to_logging(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="jobs_platform.tasks"):
        logger.info("sent", {"to": "a"}, count=2)
        logger.error("plain")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", 'sent {"to":"a","count":2}'),
        ("ERROR", "plain"),
    ]


class _Rude:
    def __repr__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"a": {1, 2}}, '{"a":"{1, 2}"}'),
        ({"a": float("nan"), "b": 1}, '{"a":"nan","b":1}'),
        ({"a": _Rude()}, "whose repr raised ValueError"),
        ({"a": "x\0"}, '{"a":"\'x\\\\x00\'"}'),
        ({1: 2}, '{"1":2}'),
        ({"a": "x" * 300_000}, "more characters"),
        ({f"k{number}": "x" * 60_000 for number in range(10)}, "omitted"),
    ],
)
def test_fields_that_are_not_json_never_fail_the_run(fields: Any, words: str) -> None:
    assert words in fields_text(fields)


def test_retry_answers_carry_instants_and_seconds() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=1)))
    assert Retry.at(noon) == RetryAt(datetime(2026, 1, 1, 11, tzinfo=UTC))
    assert Retry.after("1m30s") == RetryAfter(90.0)
    assert Retry.skip() == SkipRetry()
    with pytest.raises(InvalidOptionError, match="time zone"):
        Retry.at(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point
    with pytest.raises(InvalidDurationError):
        Retry.after("soon")


def test_a_retry_policy_reads_durations_and_names_the_bad_field() -> None:
    policy = Retry(max_attempts=2, min_timeout="500ms", max_timeout=timedelta(minutes=2))
    assert (policy.min_timeout_seconds, policy.max_timeout_seconds) == (0.5, 120.0)
    assert policy == Retry(max_attempts=2, min_timeout=0.5, max_timeout="2m")
    with pytest.raises(InvalidDurationError, match="min_timeout"):
        Retry(min_timeout="fast")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": ""}, "1 to 128"),
        ({"name": "has space"}, "1 to 128"),
        ({"name": "x" * 129}, "1 to 128"),
        ({"name": "-x"}, "beginning with"),
        ({"name": None}, "1 to 128"),
        ({"name": "a", "concurrency_limit": 0}, "from 1 to"),
        ({"name": "a", "concurrency_limit": 1.5}, "from 1 to"),
        ({"name": "a", "key_concurrency_limit": True}, "from 1 to"),
        ({"name": "a", "key_concurrency_limit": 10**9}, "from 1 to"),
    ],
)
def test_a_bad_queue_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidOptionError, match=r"queue|limit") as caught:
        Queue(**arguments)
    assert words in str(caught.value)


def _two(payload: Any, ctx: Any) -> None: ...
def _one(payload: Any) -> None: ...
def _yielding(payload: Any, ctx: Any) -> Any:
    yield


@pytest.mark.parametrize(
    ("name", "hook", "words"),
    [
        ("on_success", _two, "called with 3 arguments"),
        ("init", _one, "called with 2 arguments"),
        ("catch_error", _yielding, "is a generator"),
        ("middleware", _two, "must yield once"),
        ("on_start", "text", "is str, not a function"),
        ("on_worker_start", _two, "called with 0 arguments"),
    ],
)
def test_a_hook_that_could_not_be_called_is_refused_at_import(
    name: str, hook: Any, words: str
) -> None:
    with pytest.raises(HookError, match="of all tasks") as caught:
        getattr(hooks, name)(hook)
    assert words in str(caught.value)


def test_an_unknown_hook_is_refused_with_its_neighbour() -> None:
    with pytest.raises(HookError, match='Did you mean "on_success"'):
        hooks.add("on_sucess", _two)


def test_a_hook_is_kept_once_and_stays_a_function() -> None:
    assert hooks.on_start(_two) is _two
    hooks.on_start(_two)
    assert hooks.of("on_start") == (_two,)
