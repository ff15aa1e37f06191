"""The run list: what it shows, finds and filters, and what it asks of the database."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from django.contrib import admin
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import resolve
from django.utils import timezone

from dashboard import lists, run_admin
from dashboard.run_filters import tagged
from jobs_platform.domain.ids import encode
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.trigger import trigger_batch
from jobs_platform.models import Run
from jobs_platform.sdk.ports import TriggerRequest

LIST = "/admin/jobs/run/"


def test_list_shows_the_facts_of_a_run_newest_first(fleet, viewer):
    old = fleet.run(Status.COMPLETED, output=1)
    new = fleet.trigger("make-report", tags=("user:7",), queue="reports", is_test=True)
    html = viewer.get(LIST).content.decode()
    for text in (encode("run", old), "completed", "1/3", "make-report", "user:7", "reports", "dev"):
        assert text in html
    assert ">test</span>" in html
    assert html.index(encode("run", new)) < html.index(encode("run", old))


def test_every_status_has_a_badge_with_its_name(fleet, viewer):
    fleet.run(Status.TIMED_OUT, error={"name": "TimedOut", "message": "5m"})
    assert '<span class="jobs-badge jobs-bad">timed out</span>' in viewer.get(LIST).content.decode()


def test_number_of_queries_does_not_grow_with_the_rows(fleet, viewer):
    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert viewer.get(LIST).status_code == 200
        return len(queries)

    fleet.trigger()
    viewer.get(LIST)
    few = count()
    for number in range(20):
        fleet.trigger(tags=(f"t:{number}",), queue=f"q{number}")
    assert count() == few <= 20


def test_whole_table_is_never_counted_and_payloads_are_never_read(fleet, viewer):
    fleet.trigger()
    with CaptureQueriesContext(connection) as queries:
        viewer.get(LIST)
        viewer.get(LIST, {"status": "FAILED"})
    over_runs = [query["sql"] for query in queries if '"jobs_run"' in query["sql"]]
    counts = [sql for sql in over_runs if "COUNT(" in sql.upper()]
    assert counts
    assert all("LIMIT 10001" in sql for sql in counts)
    assert all('"payload"' not in sql and '"output"' not in sql for sql in over_runs)


def test_count_is_capped(fleet, viewer, monkeypatch):
    monkeypatch.setattr(lists, "CAP", 3)
    for _ in range(5):
        fleet.trigger()
    assert ">3+</span>" in viewer.get(LIST).content.decode()


def test_page_behind_the_last_is_the_first(fleet, viewer, monkeypatch):
    monkeypatch.setattr(run_admin.RunAdmin, "list_per_page", 1)
    fleet.trigger()
    fleet.trigger()
    response = viewer.get(LIST, {"p": "99", "status": "QUEUED"})
    assert response.status_code == 200
    assert response.context["cl"].page_num == 1


@pytest.fixture
def known(fleet):
    batch_id, (in_batch,) = trigger_batch(
        [TriggerRequest("in-batch", "1", queue="default", worker_queue="default", max_attempts=1)]
    )
    parent = fleet.trigger("parent")
    return {
        "tagged": fleet.trigger(tags=("user:7", "send-sms")),
        "report": fleet.trigger("make-report", queue="reports"),
        "done": fleet.run(Status.COMPLETED, task_id="done-task"),
        "failed": fleet.run(Status.FAILED, task_id="bad", error={"name": "E", "message": "m"}),
        "parent": parent,
        "child": fleet.trigger("child", parent_id=parent, root_id=parent),
        "in_batch": in_batch.id,
        "_batch": batch_id,
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"status": "COMPLETED"}, {"done"}),
        ({"status": ["COMPLETED", "FAILED"]}, {"done", "failed"}),
        ({"status": "NONSENSE"}, set()),
        ({"task": "make-report"}, {"report"}),
        ({"tag": "user:7"}, {"tagged"}),
        ({"tag": "user"}, set()),
        ({"queue": "reports"}, {"report"}),
        ({"queue": " reports ", "status": "", "task": ""}, {"report"}),
        ({"environment": "no-such"}, set()),
        ({"batch": "no id"}, set()),
        ({"tag": "a\x00b", "task": "make-report"}, {"report"}),
        ({"status": "QUEUED", "tag": "user:7", "task": "send-email"}, {"tagged"}),
    ],
)
def test_filters(known, viewer, listed, query, expected):
    assert listed(viewer, known, **query) == expected


def test_filters_by_batch_parent_and_environment(known, viewer, listed):
    assert listed(viewer, known, batch=encode("batch", known["_batch"])) == {"in_batch"}
    assert listed(viewer, known, batch=str(known["_batch"])) == {"in_batch"}
    assert listed(viewer, known, parent=encode("run", known["parent"])) == {"child"}
    assert listed(viewer, known, environment="dev") == set(known) - {"_batch"}


def test_filters_by_day_of_creation(known, viewer, listed):
    today = timezone.localdate()
    everything = set(known) - {"_batch"}
    assert listed(viewer, known, created_from=today, created_to=today) == everything
    assert listed(viewer, known, created_from=today + timedelta(days=1)) == set()
    assert listed(viewer, known, created_to=today - timedelta(days=1)) == set()
    assert listed(viewer, known, created_from="soon", created_to="0001-01-01") == everything


def test_filter_by_day_bounds_the_ids_so_that_the_primary_key_answers(fleet, viewer):
    with CaptureQueriesContext(connection) as queries:
        viewer.get(LIST, {"created_from": "2025-03-02"})
    assert any('"jobs_run"."id" >= ' in query["sql"] for query in queries)


@pytest.mark.parametrize("text", ["make-report", " make-report "])
def test_search_by_task(known, viewer, listed, text):
    assert listed(viewer, known, q=text) == {"report"}


def test_search_by_id_of_run_and_batch(known, viewer, listed):
    assert listed(viewer, known, q=encode("run", known["done"])) == {"done"}
    assert listed(viewer, known, q=encode("run", known["done"]).upper()) == {"done"}
    assert listed(viewer, known, q=str(known["done"])) == {"done"}
    assert listed(viewer, known, q=encode("batch", known["_batch"])) == {"in_batch"}


def test_search_by_tag(known, viewer, listed):
    assert listed(viewer, known, q="user:7") == {"tagged"}
    assert listed(viewer, known, q="send-sms") == {"tagged"}


@pytest.mark.parametrize("text", ["%", "'; --", "run_", "run_!", "{user:7}"])
def test_search_that_finds_nothing(known, viewer, listed, text):
    assert listed(viewer, known, q=text) == set()


def test_search_over_all_models_reads_a_few_runs_only(fleet, rf):
    for _ in range(3):
        fleet.trigger("many")
    request = rf.get("/admin/search/")
    request.resolver_match = resolve("/admin/search/")
    model_admin = admin.site._registry[Run]
    found, _ = model_admin.get_search_results(request, Run.objects.all(), "many")
    assert found.query.high_mark == 20
    assert len(found) == 3


def test_tags_are_found_by_their_index(fleet):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off")
    plan = Run.objects.filter(tagged("user:7")).order_by().explain()
    assert "jobs_run_tags" in plan


def test_slow_list_is_narrowed_to_its_last_days(fleet, viewer, monkeypatch):
    slow = OperationalError()
    slow.__cause__ = psycopg.errors.QueryCanceled()

    def stopped(*_, **__):
        raise slow

    monkeypatch.setattr(lists.CappedChangeList, "get_results", stopped)
    first = viewer.get(LIST, {"status": "CRASHED", "created_to": "2025-03-08"})
    assert first.status_code == 302
    assert "created_from=2025-03-07" in first.url
    assert "status=CRASHED" in first.url
    second = viewer.get(first.url)
    assert second.status_code == 302
    assert second.url == LIST


def test_count_that_takes_too_long_is_taken_for_the_cap(fleet, monkeypatch):
    monkeypatch.setattr(lists, "_COUNT_SECONDS", 0.02)
    fleet.trigger()
    slow = Run.objects.extra(where=["(SELECT pg_sleep(0.3)) IS NOT NULL"])
    paginator = lists.CappedPaginator(slow, 50)
    assert paginator.count == lists.CAP
    assert paginator.is_capped
    assert Run.objects.count() == 1  # the transaction goes on, without the limit
