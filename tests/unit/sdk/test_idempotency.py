"""Idempotency keys: how far each reaches, and what the engine gets of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from jobs_platform import IdempotencyKey, InvalidOptionError, idempotency_keys, task
from jobs_platform.domain.ids import encode
from jobs_platform.sdk.context import ActiveRun, current_run
from jobs_platform.sdk.local import LocalFacts, local_run
from jobs_platform.sdk.logger import logger
from tests.unit.fakes import RecordingEngine


@contextmanager
def inside_a_run(*, attempt: int = 2) -> Iterator[str]:
    facts = LocalFacts(
        task_id="t", queue="q", environment="staging", worker_queue="w", attempt_number=attempt
    )
    token = current_run.set(ActiveRun(facts, log=Any, logger=logger))  # type: ignore[arg-type]
    try:
        yield encode("run", facts.id)
    finally:
        current_run.reset(token)


@pytest.fixture
def plain(engine: RecordingEngine) -> Any:
    @task
    def plain() -> None: ...

    return plain


def test_key_outside_a_run_is_global_whatever_its_scope(
    plain: Any, engine: RecordingEngine
) -> None:
    for scope in ("run", "attempt", "global"):
        plain.trigger(idempotency_key=idempotency_keys.create("k", scope=scope))
    plain.trigger(idempotency_key="k")
    assert {request.idempotency.held for request in engine.requests} == {"global:k"}
    assert {request.idempotency.shown for request in engine.requests} == {"k"}
    assert engine.requests[0].idempotency.ttl_seconds == 30 * 86_400


def test_plain_text_inside_a_run_is_of_that_run(plain: Any, engine: RecordingEngine) -> None:
    with inside_a_run() as run_id:
        plain.trigger(idempotency_key="k", idempotency_key_ttl="60s")
    claim = engine.requests[0].idempotency
    assert (claim.held, claim.shown, claim.ttl_seconds) == (f"{run_id}:k", "k", 60.0)


def test_scopes_inside_a_run_are_the_run_the_attempt_and_the_environment() -> None:
    with inside_a_run(attempt=3) as run_id:
        keys = [idempotency_keys.create("k", scope=s) for s in ("run", "attempt", "global")]
        assert idempotency_keys.create("k") == keys[0]
    assert [key.held for key in keys] == [f"{run_id}:k", f"{run_id}.3:k", "global:k"]


def test_local_call_counts_as_outside() -> None:
    facts = LocalFacts(task_id="t", queue="q", environment="dev", worker_queue="w")
    token = current_run.set(local_run(facts, task_file=""))
    try:
        assert idempotency_keys.create("k").held == "global:k"
    finally:
        current_run.reset(token)


def test_several_parts_make_one_key_and_no_others_make_the_same() -> None:
    def key(*parts: str) -> str:
        return idempotency_keys.create(parts).key

    assert key("user", "7") == "user-7"
    assert key("user-1", "2") != key("user", "1-2")
    assert key("a\\", "b") != key("a", "\\b")
    assert key("a\\-b") != key("a\\", "b")


def test_long_key_is_a_hash_with_a_readable_beginning() -> None:
    long = idempotency_keys.create("order-" + "x" * 2_000)
    other = idempotency_keys.create("order-" + "x" * 2_001)
    assert long.shown.startswith("order-xxx")
    assert len(long.shown) <= 200
    assert long.held != other.held
    assert idempotency_keys.create("k" * 200).shown == "k" * 200
    assert idempotency_keys.create("k" * 2_048)


@pytest.mark.parametrize("key", ["", " ", "k" * 2_049, "a\0", 7, None, b"k", [], [""], ["a", 1]])
def test_bad_key_is_refused(key: Any) -> None:
    with pytest.raises(InvalidOptionError):
        idempotency_keys.create(key)


def test_unknown_scope_is_refused_with_a_suggestion() -> None:
    with pytest.raises(InvalidOptionError, match='Did you mean "global"'):
        idempotency_keys.create("k", scope="globl")  # type: ignore[arg-type]


def test_reset_means_the_key_that_a_trigger_here_would_mean(
    plain: Any, engine: RecordingEngine
) -> None:
    assert idempotency_keys.reset("plain", "k")
    assert asyncio.run(
        idempotency_keys.areset(plain, IdempotencyKey("k", "run_x"), environment="e")
    )
    with inside_a_run() as run_id:
        idempotency_keys.reset("plain", "k")
    assert engine.calls == [
        ("reset_idempotency_key", "plain", "global:k", None),
        ("reset_idempotency_key", "plain", "run_x:k", "e"),
        ("reset_idempotency_key", "plain", f"{run_id}:k", "staging"),
    ]
