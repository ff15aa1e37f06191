"""What the small examples promise beyond the usage in their docstrings."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal

import pytest
from django.db import connection, transaction

from jobs_platform import PayloadValidationError, Run, hooks, runs
from jobs_platform.sdk.handles import RunHandle
from tasks.examples.async_task import check_addresses
from tasks.examples.create_invoice import CreateInvoice, create_invoice
from tasks.examples.fan_out import country_report, country_reports
from tasks.examples.hello_world import hello_world
from tasks.examples.hooks_tour import hook_all_tasks, hooks_tour
from tasks.examples.retries import retries
from tasks.examples.smart_retry import smart_retry
from tasks.examples.structured_logging import structured_logging
from tasks.models import ImportedRow, Invoice
from tests.executing import InProcessWorker
from tests.waiting import wait_until

WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"


def test_hello_world_is_a_plain_function_too() -> None:
    assert hello_world.local({"name": "Ada"}) == {"greeting": "Hello, Ada!"}


def test_a_run_that_fails_too_often_has_failed(worker: InProcessWorker) -> None:
    handle = retries.trigger({"failures": 3})
    worker.execute_until_idle()
    run = runs.retrieve(handle)
    assert run.status == "FAILED"
    assert run.error is not None
    assert run.error.name == "ConnectionError"
    assert [attempt.number for attempt in run.attempts] == [1, 2, 3]


def test_retries_wait_longer_and_longer(worker: InProcessWorker) -> None:
    handle = retries.trigger({"failures": 2})
    worker.execute_until_idle()
    first, second = pauses(runs.retrieve(handle))
    assert first >= 0.1
    assert second >= 0.2


def test_a_rate_limit_is_waited_for_and_silence_is_not(worker: InProcessWorker) -> None:
    handle = smart_retry.trigger({"answers": ["busy", "silence", "ok"], "reset_seconds": 0.3})
    worker.execute_until_idle()
    run = runs.retrieve(handle)
    assert run.output == {"attempts": 3}
    after_limit, after_silence = pauses(run)
    assert after_limit >= 0.3
    assert after_silence < 0.3


def test_a_refusal_is_not_tried_again(worker: InProcessWorker) -> None:
    handle = smart_retry.trigger({"answers": ["no", "ok"]})
    worker.execute_until_idle()
    run = runs.retrieve(handle)
    assert run.error is not None
    assert (run.status, run.attempt_number, run.error.name) == ("FAILED", 1, "RefusedError")


def test_an_order_has_one_invoice_however_often_it_runs(worker: InProcessWorker) -> None:
    order = CreateInvoice(order_id="A-17", amount=Decimal("99.90"))
    create_invoice.batch_trigger([order] * 5)
    worker.execute_until_idle()
    invoice = Invoice.objects.get()
    found = runs.list(task=create_invoice)
    assert {run.output["number"] for run in found} == {invoice.number}
    assert [run.output["is_new"] for run in found].count(True) == 1
    assert {run.tags for run in found} == {(f"invoice:{invoice.number}",)}


def test_of_two_runs_at_the_same_moment_one_makes_the_invoice(worker: InProcessWorker) -> None:
    """The other looked before the first had committed, and waits for it when it inserts."""
    handle = create_invoice.trigger({"order_id": "A-17", "amount": "10.00"})
    second = threading.Thread(target=execute_in_thread, args=(worker,))
    with transaction.atomic():
        first = Invoice.objects.create(order_id="A-17", amount=10, currency="EUR")
        second.start()
        wait_until(lambda: single(WAITING), message="the run to wait for the insert")
    second.join()
    assert runs.retrieve(handle).output == {
        "number": first.number,
        "amount": "10.00",
        "is_new": False,
    }
    assert Invoice.objects.count() == 1


def test_another_amount_for_the_same_order_is_given_up(worker: InProcessWorker) -> None:
    create_invoice.trigger({"order_id": "A-17", "amount": "10.00"})
    worker.execute_until_idle()
    handle = create_invoice.trigger({"order_id": "A-17", "amount": "11.00"})
    worker.execute_until_idle()
    run = runs.retrieve(handle)
    assert run.error is not None
    assert (run.status, run.attempt_number) == ("FAILED", 1)
    assert "over 10.00 EUR already, not 11.00 EUR" in run.error.message


@pytest.mark.parametrize("amount", ["0", "-1", "1.005", "Infinity"])
def test_an_invoice_over_nonsense_is_refused_at_the_trigger(db: None, amount: str) -> None:
    with pytest.raises(PayloadValidationError):
        create_invoice.trigger({"order_id": "A-17", "amount": amount})


def test_the_hooks_are_called_in_the_order_of_the_tour(worker: InProcessWorker) -> None:
    assert messages(executed(worker, hooks_tour.trigger({"failures": 1}))) == [
        "middleware begins",
        "init",
        "on_start",
        "on_start_attempt",
        "run",
        "cleanup",
        "middleware ends",
        "catch_error ConnectionError",
        "middleware begins",
        "init",
        "on_start_attempt",
        "run",
        "cleanup",
        "middleware ends",
        "on_success",
        "on_complete",
    ]


def test_the_last_failure_calls_on_failure(worker: InProcessWorker) -> None:
    told = messages(executed(worker, hooks_tour.trigger({"failures": 2})))
    assert told[-3:] == ["catch_error ConnectionError", "on_failure ConnectionError", "on_complete"]


def test_a_cancellation_in_the_queue_calls_on_cancel(worker: InProcessWorker) -> None:
    handle = hooks_tour.trigger({})
    runs.cancel(handle)
    assert messages(executed(worker, handle)) == ["on_cancel", "on_complete"]


def test_hooks_of_all_tasks_come_before_those_of_the_task(
    worker: InProcessWorker, all_tasks_hooked: None
) -> None:
    told = messages(executed(worker, hooks_tour.trigger({"failures": 1})))
    assert told[:5] == [
        "global middleware begins",
        "middleware begins",
        "init",
        "global on_start",
        "on_start",
    ]
    caught = told.index("catch_error ConnectionError")
    assert told[caught + 1] == "global catch_error"
    assert told[-3:] == ["on_success", "global on_complete", "on_complete"]
    assert messages(executed(worker, hello_world.trigger({"name": "Ada"}))) == [
        "global middleware begins",
        "global on_start",
        "Greeting",
        "global middleware ends",
        "global on_complete",
    ]


def test_lines_have_levels_fields_and_sources(worker: InProcessWorker) -> None:
    lines = runs.log_lines(executed(worker, structured_logging.trigger({"items": 2})))
    by_message = {line.message: line for line in lines}
    said = by_message["Three ways to say the same"]
    assert said.fields == {"run": runs.list()[0].id, "items": 2}
    finished = by_message["pricing finished"]
    assert finished.fields["ok"] is True
    assert finished.fields["duration_ms"] >= 0
    assert by_message["and so is what libraries log"].fields == {
        "logger": "tasks.examples.structured_logging",
        "cents": 448,
    }
    assert by_message["printed lines are kept, too"].source == "stdout"
    assert not any("LOG_LEVEL" in message for message in by_message)


def test_all_addresses_are_asked_at_the_same_time(worker: InProcessWorker) -> None:
    """A socket whose queue is full takes no connection and refuses none."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listening, full() as silent:
        known = {"open": address(listening), "silent": silent, "closed": "127.0.0.1:1"}
        handle = check_addresses.trigger(
            {"addresses": [*known.values(), "127.0.0.1:99999"], "timeout_seconds": 0.3}
        )
        run = runs.retrieve(executed(worker, handle))
    assert run.output == {place: state for state, place in known.items()} | {
        "127.0.0.1:99999": "closed"
    }


def test_each_country_gets_a_report_of_its_own(worker: InProcessWorker) -> None:
    heights = [("IS", "169"), ("IS", "8"), ("NO", "681")]
    ImportedRow.objects.bulk_create(
        ImportedRow(
            source="airports", key=str(number), data={"country": country, "elevation": feet}
        )
        for number, (country, feet) in enumerate(heights)
    )
    parent = executed(worker, country_reports.trigger({}))
    reports = runs.list(task=country_report, parent=parent)
    assert {report.output["country"]: report.output for report in reports} == {
        "IS": {"country": "IS", "airports": 2, "highest_feet": 169.0},
        "NO": {"country": "NO", "airports": 1, "highest_feet": 681.0},
    }
    assert [run.id for run in runs.list(tag="country:NO")] == [
        report.id for report in reports if report.output["country"] == "NO"
    ]


def test_one_bad_country_triggers_none(db: None) -> None:
    with pytest.raises(PayloadValidationError, match=r"payload\.countries\[1\]"):
        country_reports.trigger({"countries": ["IS", "Norway"]})
    assert not runs.list()


def test_nothing_imported_means_no_reports(worker: InProcessWorker) -> None:
    handle = executed(worker, country_reports.trigger({}))
    assert runs.retrieve(handle).output == {"batch": None, "reports": 0}


@pytest.fixture
def all_tasks_hooked() -> Iterator[None]:
    hook_all_tasks()
    yield
    hooks.clear()


def executed(worker: InProcessWorker, handle: RunHandle) -> RunHandle:
    worker.execute_until_idle()
    return handle


@contextmanager
def full() -> Iterator[str]:
    """The address of a listening socket that does not answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening, ExitStack() as waiting:
        while True:
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listening.getsockname())
            if not select.select([], [client], [], 0.05)[1]:
                break
        yield address(listening)


def address(listening: socket.socket) -> str:
    host, port = listening.getsockname()
    return f"{host}:{port}"


def messages(handle: RunHandle) -> list[str]:
    return [line.message for line in runs.log_lines(handle)]


def pauses(run: Run) -> list[float]:
    """Seconds between the end of each attempt and the start of the next."""
    pairs = zip(run.attempts, run.attempts[1:], strict=False)
    return [(after.started_at - before.finished_at).total_seconds() for before, after in pairs]


def execute_in_thread(worker: InProcessWorker) -> None:
    try:
        worker.drain()
    finally:
        connection.close()


def single(statement: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.fetchone()[0])
