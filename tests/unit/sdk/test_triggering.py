"""Triggering: what reaches the engine, and what is refused before it."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from jobs_platform import (
    BatchItem,
    InvalidIdError,
    InvalidOptionError,
    MetadataError,
    NotConfiguredError,
    OpenTransactionError,
    PayloadError,
    PayloadValidationError,
    PollTimeoutError,
    Queue,
    Retry,
    Status,
    UnknownTaskError,
    batch,
    runs,
    task,
    tasks,
)
from jobs_platform.domain.errors import InvalidTagError
from jobs_platform.domain.ids import decode, encode, new_uuid
from jobs_platform.sdk import polling
from jobs_platform.sdk.context import current_run
from jobs_platform.sdk.local import LocalFacts
from tests.unit.fakes import RecordingEngine


class Order(BaseModel):
    id: int


@pytest.fixture
def place(engine: RecordingEngine) -> Any:
    @task(retry=Retry(max_attempts=7), version="3", machine="micro")
    def place_order(payload: Order) -> None: ...

    return place_order


@pytest.fixture
def plain(engine: RecordingEngine) -> Any:
    @task
    def plain(payload: Any) -> None: ...

    return plain


def test_a_trigger_writes_what_the_task_declares(place: Any, engine: RecordingEngine) -> None:
    handle = place.trigger({"id": 1})
    request = engine.requests[0]
    assert (request.task_id, request.payload) == ("place-order", '{"id":1}')
    assert (request.queue, request.worker_queue) == ("task/place-order", "micro")
    assert (request.max_attempts, request.task_version) == (7, "3")
    assert handle.id.startswith("run_")
    assert (handle.task_id, handle.is_cached, handle.url) == ("place-order", False, None)


def test_options_win_over_what_the_task_declares(place: Any, engine: RecordingEngine) -> None:
    place.trigger(
        Order(id=1),
        queue=Queue("orders"),
        tags=["user:7"],
        priority=-10,
        metadata={"step": 1},
        max_attempts=1,
        machine="large-1x",
        test=True,
        environment="staging",
        version="4",
    )
    request = engine.requests[0]
    assert (request.queue, request.worker_queue, request.max_attempts) == ("orders", "large-1x", 1)
    assert (request.tags, request.priority_seconds) == (("user:7",), -10.0)
    assert (request.metadata, request.is_test, request.task_version) == ('{"step":1}', True, "4")
    assert engine.environments == ["staging"]


def test_without_declarations_the_configuration_decides(
    plain: Any, engine: RecordingEngine
) -> None:
    plain.trigger()
    request = engine.requests[0]
    assert (request.payload, request.worker_queue, request.max_attempts) == ("null", "default", 3)
    assert engine.environments == [None]


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"quue": "a"}, InvalidOptionError, 'Did you mean "queue"'),
        ({"queue": "a b"}, InvalidOptionError, "1 to 128 letters"),
        ({"tags": [""]}, InvalidTagError, "is empty"),
        ({"priority": "high"}, InvalidOptionError, "not a number of seconds"),
        ({"priority": float("nan")}, InvalidOptionError, "not a number of seconds"),
        ({"priority": 10**9}, InvalidOptionError, "a year"),
        ({"metadata": [1]}, InvalidOptionError, "is not a dict"),
        ({"metadata": {"a": {1}}}, MetadataError, "metadata.a"),
        ({"metadata": {"a": "x" * 300_000}}, MetadataError, "the limit is 262,144"),
        ({"max_attempts": 0}, InvalidOptionError, "between 1 and 250"),
        ({"max_attempts": 251}, InvalidOptionError, "between 1 and 250"),
        ({"machine": "huge"}, InvalidOptionError, "is not one of"),
        ({"test": "yes"}, InvalidOptionError, "True or False"),
        ({"environment": "a b"}, InvalidOptionError, "1 to 64"),
        ({"environment": ""}, InvalidOptionError, "1 to 64"),
        ({"version": ""}, InvalidOptionError, "1 to 128"),
    ],
)
def test_a_bad_option_is_refused_and_nothing_is_written(
    plain: Any, engine: RecordingEngine, options: dict[str, Any], kind: Any, words: str
) -> None:
    with pytest.raises(kind) as caught:
        plain.trigger(1, **options)
    assert words in str(caught.value)
    assert engine.requests == []


def test_a_bad_payload_is_refused_and_nothing_is_written(
    place: Any, engine: RecordingEngine
) -> None:
    with pytest.raises(PayloadValidationError, match=r"payload\.id: "):
        place.trigger({"id": "x"})
    assert engine.requests == []


def test_a_trigger_by_id_finds_the_task(place: Any, engine: RecordingEngine) -> None:
    tasks.trigger("place-order", {"id": 1}, tags="a")
    assert engine.requests[0].tags == ("a",)


def test_a_task_that_only_workers_know_is_triggered_unchecked(engine: RecordingEngine) -> None:
    engine.known = {"far": {"queue": "q", "machine": "micro", "max_attempts": 9, "version": "1"}}
    tasks.trigger("far", {"any": "thing"})
    request = engine.requests[0]
    assert (request.queue, request.worker_queue, request.max_attempts) == ("q", "micro", 9)
    with pytest.raises(PayloadError):
        tasks.trigger("far", {1})


def test_an_unknown_task_is_refused_with_its_neighbours(
    place: Any, engine: RecordingEngine
) -> None:
    engine.known = {"place-offer": {}}
    with pytest.raises(UnknownTaskError) as caught:
        tasks.trigger("place-oder")
    assert set(caught.value.close) == {"place-order", "place-offer"}
    with pytest.raises(UnknownTaskError):
        tasks.trigger(5)  # type: ignore[arg-type]


@pytest.mark.usefixtures("fresh_process")
def test_without_an_engine_the_error_says_what_to_install() -> None:
    @task
    def lonely() -> None: ...

    with pytest.raises(NotConfiguredError, match="INSTALLED_APPS"):
        lonely.trigger()


def test_a_batch_keeps_the_order_and_merges_options(plain: Any, engine: RecordingEngine) -> None:
    handles = plain.batch_trigger([1, BatchItem(2, priority=5), BatchItem()], tags="all")
    assert [request.payload for request in engine.requests] == ["1", "2", "null"]
    assert [request.priority_seconds for request in engine.requests] == [0.0, 5.0, 0.0]
    assert {request.tags for request in engine.requests} == {("all",)}
    assert handles.id.startswith("batch_")
    assert len(handles) == 3
    assert [handle.id for handle in handles] == [handles[index].id for index in range(3)]


@pytest.mark.parametrize("kind", [list, iter])
def test_a_long_batch_goes_in_chunks_of_one_batch(
    plain: Any, engine: RecordingEngine, kind: Any
) -> None:
    handles = plain.batch_trigger(kind(range(2001)))
    batch_id = decode("batch", handles.id)
    assert engine.calls == [
        ("trigger_batch", 1000, None),
        ("trigger_batch", 1000, batch_id),
        ("trigger_batch", 1, batch_id),
    ]
    assert len(handles) == 2001


def test_one_bad_item_of_a_list_stops_the_batch_before_anything_is_written(
    place: Any, engine: RecordingEngine
) -> None:
    items = [{"id": number} for number in range(1500)] + [{"id": "x"}]
    with pytest.raises(PayloadValidationError) as caught:
        place.batch_trigger(items)
    assert caught.value.__notes__ == ["This was item 1500 of the batch."]
    assert engine.requests == []


@pytest.mark.parametrize(
    ("items", "words"),
    [([], "has no item"), (iter(()), "has no item"), ("ab", "not a list"), (5, "not a list")],
)
def test_a_batch_of_nothing_is_refused(plain: Any, items: Any, words: str) -> None:
    with pytest.raises(InvalidOptionError, match=words):
        plain.batch_trigger(items)


def test_the_items_of_a_batch_share_an_environment(plain: Any, engine: RecordingEngine) -> None:
    plain.batch_trigger([1], environment="staging")
    assert engine.environments == ["staging"]
    with pytest.raises(InvalidOptionError, match="cannot differ"):
        plain.batch_trigger([BatchItem(1, environment="other")], environment="staging")


def test_a_mixed_batch_takes_ids_or_tasks(place: Any, plain: Any, engine: RecordingEngine) -> None:
    batch.trigger([("place-order", {"id": 1}), ("plain", 2, {"priority": 1})])
    batch.trigger_by_task([(place, {"id": 3}), (plain, 4, {"tags": ["x"]}), (plain,)])
    assert [request.payload for request in engine.requests] == [
        '{"id":1}',
        "2",
        '{"id":3}',
        "4",
        "null",
    ]


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([("nope", 1)], "No task has the id"),
        (["plain"], "is not \\(task, payload\\)"),
        ([("plain", 1, 2)], "options that are not a dict"),
        ([("plain", 1, {}, 2)], "is not \\(task, payload\\)"),
        ([("plain", 1, {"dely": 1})], "unknown"),
    ],
)
def test_a_bad_item_of_a_mixed_batch_is_refused(plain: Any, items: Any, words: str) -> None:
    with pytest.raises((InvalidOptionError, UnknownTaskError), match=words):
        batch.trigger(items)
    with pytest.raises(InvalidOptionError):
        batch.trigger_by_task(items)


def _inside_a_run(environment: str, root_id: UUID | None) -> Any:
    facts = LocalFacts(
        task_id="t",
        queue="q",
        environment=environment,
        worker_queue="w",
        root_id=root_id,
    )
    from_run = type("Active", (), {"facts": facts, "is_local": False})
    return from_run()


@pytest.mark.parametrize("is_root", [True, False])
def test_a_trigger_inside_a_run_is_its_child(
    plain: Any, engine: RecordingEngine, is_root: bool
) -> None:
    root_id = None if is_root else new_uuid()
    active = _inside_a_run("staging", root_id)
    token = current_run.set(active)
    try:
        plain.trigger()
        plain.batch_trigger([1])
        plain.trigger(environment="other")
    finally:
        current_run.reset(token)
    parent = active.facts.id
    assert [request.parent_id for request in engine.requests] == [parent, parent, None]
    assert engine.requests[0].root_id == (root_id or parent)
    assert engine.environments == ["staging", "staging", "other"]


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses of a poll, taken on a clock that only they move."""
    taken: list[float] = []
    monkeypatch.setattr(polling, "monotonic", lambda: sum(taken))
    monkeypatch.setattr(polling.time, "sleep", taken.append)
    return taken


def test_polling_asks_less_and_less_often_until_the_run_is_final(
    plain: Any, engine: RecordingEngine, naps: list[float]
) -> None:
    engine.statuses = [Status.QUEUED] * 20 + [Status.FAILED]
    engine.run = "the run"
    assert plain.trigger_and_poll(1, poll_interval="500ms") == "the run"
    assert naps[0] == polling.FIRST_INTERVAL_SECONDS
    assert naps == sorted(naps)
    assert naps[-1] == 0.5


def test_polling_gives_up_after_its_timeout(
    plain: Any, engine: RecordingEngine, naps: list[float]
) -> None:
    engine.statuses = [Status.EXECUTING]
    with pytest.raises(PollTimeoutError, match="still EXECUTING after 3 seconds"):
        tasks.trigger_and_poll("plain", timeout="3s")
    assert sum(naps) == pytest.approx(3)


@pytest.mark.parametrize("poll", ["trigger_and_poll", "runs.poll"])
def test_polling_inside_an_open_transaction_is_refused(
    plain: Any, engine: RecordingEngine, poll: str
) -> None:
    engine.is_in_transaction = True
    with pytest.raises(OpenTransactionError, match="wait for ever"):
        plain.trigger_and_poll() if poll == "trigger_and_poll" else runs.poll(_run_id())
    assert engine.requests == []


def test_every_blocking_call_has_a_twin_that_does_the_same(
    plain: Any, engine: RecordingEngine
) -> None:
    async def scenario() -> list[Any]:
        return [
            await plain.atrigger(1),
            await plain.abatch_trigger([2]),
            await plain.atrigger_and_poll(3),
            await tasks.atrigger("plain", 4),
            await tasks.abatch_trigger("plain", [5]),
            await tasks.atrigger_and_poll("plain", 6),
            await batch.atrigger([("plain", 7)]),
            await batch.atrigger_by_task([(plain, 8)]),
        ]

    asyncio.run(scenario())
    assert [request.payload for request in engine.requests] == list("12345678")


@pytest.mark.parametrize("namespace", [tasks, batch, runs])
def test_no_namespace_has_a_verb_without_its_twin(namespace: Any) -> None:
    names = {name for name in dir(namespace) if not name.startswith("_")}
    sync = {name for name in names if not asyncio.iscoroutinefunction(getattr(namespace, name))}
    assert {f"a{name}" for name in sync} == names - sync


def _run_id() -> str:
    return encode("run", new_uuid())


def test_runs_take_ids_and_handles(plain: Any, engine: RecordingEngine) -> None:
    handle = plain.trigger()
    number = decode("run", handle.id)
    assert runs.cancel(handle, reason="no longer needed")
    runs.cancel(handle.id)
    runs.replay(handle)
    assert engine.calls == [
        ("cancel", number, "no longer needed"),
        ("cancel", number, None),
        ("replay", number, None),
    ]
    with pytest.raises(InvalidIdError):
        runs.retrieve("batch_00000000000000000000000000")


def test_a_replay_with_another_payload_is_validated(place: Any, engine: RecordingEngine) -> None:
    engine.run = type("Stored", (), {"task_id": "place-order"})()
    runs.replay(_run_id(), payload={"id": 2})
    assert engine.calls[-1][2] == '{"id":2}'
    with pytest.raises(PayloadValidationError):
        runs.replay(_run_id(), payload=None)


def test_a_list_is_selected_by_what_is_given(plain: Any, engine: RecordingEngine) -> None:
    runs.list(status=["FAILED", Status.CRASHED], task=plain, tag="a", limit=5, environment="dev")
    _, selected, environment = engine.calls[0]
    assert selected.statuses == (Status.FAILED, Status.CRASHED)
    assert (selected.task_ids, selected.tags, selected.limit) == (("plain",), ("a",), 5)
    assert environment == "dev"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"status": "FALED"}, 'Did you mean "FAILED"'),
        ({"limit": 0}, "from 1 to 1,000"),
        ({"created_after": "yesterday"}, "time zone"),
        ({"tags": "a"}, 'Did you mean "tag"'),
    ],
)
def test_a_list_by_something_else_is_refused(
    engine: RecordingEngine, wrong: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        runs.list(**wrong)
    assert words in str(caught.value)
