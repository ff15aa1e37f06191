"""What the examples of flow control promise beyond the usage in their docstrings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from django.core import mail
from django.db import connection

from jobs_platform import Run, RunNotDelayedError, runs
from tasks.examples import clean_cancellation, debounced_reindex, rate_limited_api
from tasks.examples import sync_shopify_orders as shopify
from tasks.examples.clean_cancellation import export_rows, unfinished_file
from tasks.examples.debounced_reindex import has_changed
from tasks.examples.deduplicate import convert, refresh, refresh_figures
from tasks.examples.heavy_task import heavy_task
from tasks.examples.one_at_a_time import one_at_a_time
from tasks.examples.rate_limited_api import InventedGeocoder, geocode
from tasks.examples.reminder import cart_changed, ordered
from tasks.examples.sync_shopify_orders import InventedShop, request_sync, sync_shopify_orders
from tasks.examples.welcome_email import welcome, welcome_email
from tasks.models import ImportedRow
from tests.examples.clocked import ClockedWorker
from tests.executing import InProcessWorker
from tests.waiting import wait_until
from tests.world import rolled_back

THREADS = 3
NOON = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)


class WatchedShop(InventedShop):
    """Remembers who called at the same time as somebody else; a first call waits for company."""

    orders = 2

    def __init__(self, *, company: int = 1) -> None:
        self.overlaps: set[frozenset[str]] = set()
        self._calling: list[str] = []
        self._lock = threading.Lock()
        self._company = threading.Barrier(company)

    def orders_after(self, shop: str, last_id: int, *, limit: int) -> list[dict[str, Any]]:
        with self._lock:
            self.overlaps |= {frozenset({shop, other}) for other in self._calling}
            self._calling.append(shop)
        try:
            if not last_id:
                self._company.wait(timeout=10)
            return super().orders_after(shop, last_id, limit=limit)
        finally:
            with self._lock:
                self._calling.remove(shop)


def test_shops_are_synced_at_the_same_time(
    worker: InProcessWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits in its first call until the other one is there."""
    monkeypatch.setattr(shopify, "api", watched := WatchedShop(company=2))
    handles = [request_sync(shop) for shop in ("acme", "bolt")]
    executed_in_threads(worker)
    assert [runs.retrieve(handle).output["new_orders"] for handle in handles] == [2, 2]
    assert watched.overlaps == {frozenset({"acme", "bolt"})}


def test_one_shop_is_synced_once_at_a_time(
    worker: InProcessWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shopify, "api", watched := WatchedShop())
    sync_shopify_orders.batch_trigger([{"shop": "acme"}] * 8, concurrency_key="acme")
    executed_in_threads(worker)
    synced = executed_runs()
    assert_one_after_another(synced)
    assert sorted(run.output["new_orders"] for run in synced) == [0] * 7 + [2]
    assert frozenset({"acme"}) not in watched.overlaps


def test_a_sync_that_failed_may_be_asked_for_again_in_the_same_minute(
    worker: InProcessWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    class AwayShop(InventedShop):
        def orders_after(self, shop: str, last_id: int, *, limit: int) -> list[dict[str, Any]]:
            if last_id:
                raise ConnectionError("The shop does not answer.")
            return super().orders_after(shop, last_id, limit=limit)

    monkeypatch.setattr(shopify, "api", AwayShop())
    first = request_sync("acme", at=NOON)
    worker.execute_until_idle(hurry=True)
    assert runs.retrieve(first).status == "FAILED"
    monkeypatch.setattr(shopify, "api", InventedShop())
    second = request_sync("acme", at=NOON)
    assert not second.is_cached
    worker.execute_until_idle()
    assert runs.retrieve(second).output == {"shop": "acme", "new_orders": 35}
    assert ImportedRow.objects.filter(source="shopify:acme").count() == 60


def test_numbers_have_no_gap_whoever_executes(worker: InProcessWorker) -> None:
    handles = one_at_a_time.batch_trigger([{"customer": f"c{n}"} for n in range(12)])
    executed_in_threads(worker)
    found = [runs.retrieve(handle) for handle in handles]
    assert_one_after_another(found)
    assert [run.output["number"] for run in found] == list(range(1, 13))
    assert {run.attempt_number for run in found} == {1}


def test_a_user_is_welcomed_once(worker: InProcessWorker) -> None:
    handles = [welcome(7, "ada@example.com") for _ in range(5)]
    welcome(8, "grace@example.com")
    worker.execute_until_idle()
    assert welcome(7, "ada@example.com").id == handles[0].id
    assert sorted(message.to[0] for message in mail.outbox) == [
        "ada@example.com",
        "grace@example.com",
    ]


def test_a_second_attempt_sends_the_mail_under_the_same_name(
    worker: InProcessWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happens when a worker dies after the mail has gone."""
    monkeypatch.setattr(welcome_email, "call", dies_once(welcome_email.call))
    handle = welcome(7, "ada@example.com")
    worker.execute_until_idle(hurry=True)
    assert runs.retrieve(handle).attempt_number == len(mail.outbox) == 2
    assert len({message.extra_headers["Message-ID"] for message in mail.outbox}) == 1


def test_a_sign_up_that_is_rolled_back_welcomes_nobody(worker: InProcessWorker) -> None:
    with rolled_back():
        welcome(7, "ada@example.com")
    assert not runs.list()
    assert not welcome(7, "ada@example.com").is_cached
    worker.execute_until_idle()
    assert len(mail.outbox) == 1


def test_figures_are_counted_again_after_a_minute(worker: InProcessWorker) -> None:
    first = refresh("sales")
    worker.execute_until_idle()
    assert refresh("sales").id == first.id
    assert seconds("key_expires_at - created_at") == pytest.approx(60.0, abs=1.0)
    let_pass("key_expires_at")
    second = refresh("sales")
    assert (second.id == first.id, second.is_cached) == (False, False)
    worker.execute_until_idle()
    assert len(runs.list(task=refresh_figures)) == 2


def test_equal_documents_are_converted_once_and_others_by_themselves(
    worker: InProcessWorker,
) -> None:
    one, same, other = (
        convert({"text": "a < b"}),
        convert({"format": "html", "text": "a < b"}),
        convert({"text": "a < b", "format": "text"}),
    )
    worker.execute_until_idle()
    assert one.id == same.id
    assert runs.retrieve(one).output == "<p>a &lt; b</p>"
    assert runs.retrieve(other).output == "a < b"


def test_what_is_too_much_for_the_larger_machine_has_crashed(worker: InProcessWorker) -> None:
    handle = heavy_task.trigger({"megabytes": 1_500})
    worker.execute_until_idle()
    run = runs.retrieve(handle)
    assert (run.status, run.machine, run.attempt_number) == ("CRASHED", "small-2x", 2)
    assert run.error is not None
    assert "small-2x (1 GB)" in run.error.message


def test_changes_are_indexed_once_and_together(worker: InProcessWorker) -> None:
    for key in ("EGLL", "EDDB", "KJFK"):
        ImportedRow.objects.create(source="airports", key=key, data={})
        handle = has_changed("airports", row=key)
    other = has_changed("harbours")
    worker.execute_until_idle()
    assert runs.retrieve(handle).output == {"source": "airports", "rows": 3, "because_of": "KJFK"}
    assert runs.retrieve(other).output["rows"] == 0
    assert debounced_reindex.index["airports"] == ["EDDB", "EGLL", "KJFK"]
    assert len(runs.list()) == 2


def test_a_change_while_the_index_is_made_makes_another_run(worker: InProcessWorker) -> None:
    first = has_changed("airports")
    worker.execute_until_idle()
    assert has_changed("airports").id != first.id
    worker.execute_until_idle()


def test_a_busy_day_sees_an_index_all_the_same(worker: InProcessWorker) -> None:
    """Pushed back, but never beyond `max_delay` after the run was made."""
    has_changed("airports")
    sql("UPDATE jobs_run SET created_at = created_at - interval '4.9 seconds'")
    has_changed("airports")
    assert seconds("run_at - created_at") == pytest.approx(5.0)
    worker.execute_until_idle()


def test_an_order_takes_its_reminder_back_and_no_other(worker: InProcessWorker) -> None:
    mine, other = cart_changed("C-7"), cart_changed("C-8")
    assert ordered("C-7") == 1
    assert ordered("C-7") == 0
    assert runs.retrieve(mine).is_canceled
    let_pass("run_at")
    worker.execute_until_idle()
    assert runs.retrieve(other).output == "There is something in your cart C-8."
    with pytest.raises(RunNotDelayedError):
        runs.reschedule(other, "1h")


def test_a_reminder_that_comes_too_late_is_not_sent(worker: ClockedWorker) -> None:
    """Its time to live counts from the moment when it was queued."""
    handle = cart_changed("C-7")
    sql("UPDATE jobs_run SET run_at = now() - interval '2 hours'")
    worker.look()
    assert runs.retrieve(handle).status == "QUEUED"
    assert seconds("expires_at - now()") == pytest.approx(1_800.0, abs=5.0)
    let_pass("expires_at")
    worker.execute_until_idle()
    run = runs.retrieve(handle)
    assert (run.status, run.attempts) == ("EXPIRED", ())
    assert [line.fields["why"] for line in runs.log_lines(handle)] == ["Expired"]


def test_the_vendor_never_has_to_refuse(
    worker: InProcessWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen calls at once would be six too many."""
    monkeypatch.setattr(rate_limited_api, "vendor", vendor := InventedGeocoder())
    geocode.batch_trigger([{"address": f"{number} Main Street"} for number in range(16)])
    executed_in_threads(worker)
    starts = sorted(attempt.started_at for run in executed_runs() for attempt in run.attempts)
    assert (vendor.answered, vendor.refused, len(starts)) == (16, 0, 16)
    for first, sixth in zip(starts, starts[5:], strict=False):
        assert (sixth - first).total_seconds() >= 1.0


def test_a_refusal_is_waited_for(worker: InProcessWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else has used the account up."""
    vendor = InventedGeocoder(calls=1, seconds=0.3)
    vendor.locate("elsewhere")
    monkeypatch.setattr(rate_limited_api, "vendor", vendor)
    handle = geocode.trigger({"address": "1 Main Street"})
    worker.execute_until_idle()
    run = runs.retrieve(handle)
    assert [attempt.status for attempt in run.attempts] == ["FAILED", "COMPLETED"]
    assert vendor.refused == 1


def test_a_cancelled_export_leaves_no_file(worker: InProcessWorker) -> None:
    handle = export_rows.trigger({"parts": 100, "pause_seconds": 60})
    with worker.in_background():
        wait_until(unfinished_file(handle.id).exists, message="the first part")
        runs.cancel(handle)
        wait_until(lambda: runs.retrieve(handle).attempts, message="the attempt to stop")
    worker.execute_until_idle()
    assert runs.retrieve(handle).is_canceled
    assert not list(clean_cancellation.FOLDER.iterdir())


def test_an_export_that_never_started_is_cleaned_up_too(worker: InProcessWorker) -> None:
    """As if its worker had died: the file is there, and nobody writes it."""
    handle = export_rows.trigger({"parts": 1})
    unfinished_file(handle.id).write_text("part 1\n")
    runs.cancel(handle)
    worker.execute_until_idle()
    assert not unfinished_file(handle.id).exists()


def executed_in_threads(worker: InProcessWorker) -> None:
    """Execute until every run is over, by several slots."""
    with ExitStack() as working:
        for _ in range(THREADS):
            working.enter_context(worker.in_background())
        wait_until(lambda: all(run.is_completed for run in runs.list()), 20, "all runs to be over")


def executed_runs() -> list[Run]:
    """All runs, with their attempts."""
    return [runs.retrieve(run) for run in runs.list()]


def assert_one_after_another(found: Sequence[Run]) -> None:
    times = sorted((run.attempts[0].started_at, run.attempts[0].finished_at) for run in found)
    assert all(ended <= began for (_, ended), (began, _) in pairwise(times))


def dies_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which has done its work the first time and does not tell."""
    calls: list[None] = []

    def call(*args: Any) -> Any:
        result = function(*args)
        calls.append(None)
        if len(calls) == 1:
            raise ConnectionError("Gone.")
        return result

    return call


def let_pass(column: str) -> None:
    """The instants in this column are past."""
    sql(f"UPDATE jobs_run SET {column} = now() - interval '1 second' WHERE {column} IS NOT NULL")


def seconds(expression: str) -> float:
    """An interval of the only run."""
    ((value,),) = sql(f"SELECT extract(epoch FROM {expression}) FROM jobs_run")
    return float(value)


def sql(text: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(text)
        return cursor.fetchall() if cursor.description else []
