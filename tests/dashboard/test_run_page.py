"""The page of a run in each of its states, and that nothing on it can be active content."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dashboard import run_page
from jobs_platform.domain.ids import encode, new_uuid
from jobs_platform.domain.lifecycle import Status
from jobs_platform.sdk import ports

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\"'"
ERROR = {"name": "ValueError", "message": "no such user", "traceback": "Traceback: line 7"}


def test_queued_run(fleet, viewer, page_of):
    run_id = fleet.trigger("send-email", {"to": "a@b.c"}, tags=("user:7",), metadata='{"step": 4}')
    html = page_of(viewer, run_id)
    for text in (
        encode("run", run_id),
        "send-email",
        "queued",
        "0 of 3",
        "a@b.c",
        "user:7",
        "step",
    ):
        assert text in html
    assert "No attempt has started yet." in html
    assert "Triggered" in html
    assert "It has written nothing." in html


def test_executing_run_shows_its_live_attempt(fleet, viewer, page_of):
    run_id = fleet.trigger()
    claimed = fleet.start(run_id)
    fleet.log(claimed, "halfway", user="u-7")
    html = page_of(viewer, run_id)
    for text in (
        "executing",
        "so far",
        "worker-a",
        "Attempt started",
        "halfway",
        "user=u-7",
        "12:30",
    ):
        assert text in html


def test_completed_run(fleet, viewer, page_of):
    run_id = fleet.run(
        Status.COMPLETED, output={"sent": True}, cpu_seconds=0.25, peak_memory_bytes=50 * 2**20
    )
    html = page_of(viewer, run_id)
    for text in ("completed", "&quot;sent&quot;: true", "250 ms", "50 MB", "Completed"):
        assert text in html


def test_failed_run_shows_the_error_of_each_attempt(fleet, viewer, page_of):
    run_id = fleet.trigger(max_attempts=2)
    fleet.finish(
        fleet.start(run_id),
        Status.QUEUED,
        error={"name": "KeyError", "message": "first", "traceback": "Traceback: line 3"},
        retry_after_seconds=0,
    )
    fleet.finish(fleet.start(run_id), Status.FAILED, error=ERROR)
    html = page_of(viewer, run_id)
    for text in ("ValueError", "no such user", "line 7", "KeyError", "line 3", "2 of 2"):
        assert text in html
    assert "Attempt failed, retry scheduled" in html
    assert "delay_seconds: 0.0" in html


def test_run_that_waits_for_its_retry_says_until_when(fleet, viewer, page_of):
    run_id = fleet.trigger()
    fleet.finish(fleet.start(run_id), Status.QUEUED, error=ERROR, retry_after_seconds=3_000)
    html = page_of(viewer, run_id)
    assert "1 of 3, next" in html
    assert "in 49 min" in html


def test_cancelled_run_whose_attempt_has_not_stopped(fleet, viewer, page_of):
    run_id = fleet.trigger()
    fleet.start(run_id)
    ports.engine().cancel(run_id, reason="wrong customer")
    html = page_of(viewer, run_id)
    for text in ("canceled", "stopping", "wrong customer", "Cancelled"):
        assert text in html


def test_run_that_was_cancelled_before_it_started(fleet, viewer, page_of):
    run_id = fleet.trigger()
    ports.engine().cancel(run_id)
    html = page_of(viewer, run_id)
    assert "It ended before its first attempt." in html
    assert "stopping" not in html


def test_run_names_its_family_and_its_batch(fleet, viewer, page_of):
    root, parent = fleet.trigger("root"), fleet.trigger("parent")
    child = fleet.trigger("child", parent_id=parent, root_id=root)
    replayed = ports.engine().replay(child).id
    html = page_of(viewer, child)
    assert encode("run", parent) in html
    assert encode("run", root) in html
    assert f"?parent={encode('run', parent)}" in page_of(viewer, parent)
    assert f"/admin/jobs/run/{child}/change/" in page_of(viewer, parent)
    assert encode("run", child) in page_of(viewer, replayed)


def test_page_has_a_fixed_number_of_queries(fleet, viewer, page_of):
    small, large = fleet.trigger(), fleet.trigger(max_attempts=5)
    for _ in range(4):
        fleet.finish(fleet.start(large), Status.QUEUED, error=ERROR, retry_after_seconds=0)
        fleet.trigger("child", parent_id=large)
    fleet.log(fleet.start(large), *map(str, range(30)))
    page_of(viewer, small)
    counts = []
    for run_id in (small, large):
        with CaptureQueriesContext(connection) as queries:
            page_of(viewer, run_id)
        counts.append(len(queries))
    assert counts[1] <= counts[0] <= 15


@pytest.mark.parametrize("where", ["payload", "output", "error", "metadata", "tag", "log", "task"])
def test_hostile_text_is_escaped(fleet, viewer, page_of, where):
    options = {
        "payload": {HOSTILE: HOSTILE} if where == "payload" else None,
        "metadata": json.dumps({HOSTILE: HOSTILE}) if where == "metadata" else None,
        "tags": (HOSTILE,) if where == "tag" else (),
    }
    run_id = fleet.trigger(HOSTILE if where == "task" else "send-email", **options)
    claimed = fleet.start(run_id)
    fleet.log(claimed, HOSTILE, level=HOSTILE[:8], **{HOSTILE: HOSTILE})
    if where == "error":
        error = {"name": HOSTILE, "message": HOSTILE, "traceback": HOSTILE}
        fleet.finish(claimed, Status.FAILED, error=error)
    else:
        fleet.finish(claimed, Status.COMPLETED, output={HOSTILE: HOSTILE})
    shown = page_of(viewer, run_id) + viewer.get("/admin/jobs/run/").content.decode()
    assert "alert(1)" in shown
    assert "<script>alert" not in shown
    assert "<img src=x" not in shown
    assert "</pre><" not in shown.replace("</pre>\n", "")


def test_large_payload_is_cut_and_linked(fleet, viewer, page_of):
    payload = {"text": "ä" * 100_000}
    run_id = fleet.trigger(payload=payload)
    html = page_of(viewer, run_id)
    assert len(html) < 150_000
    assert "Only the first 64 KB." in html
    response = viewer.get(f"/admin/jobs/run/{run_id}/json/payload/")
    assert response.json() == payload
    assert response["Content-Type"].startswith("application/json")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response["Content-Security-Policy"]


def test_json_is_shown_as_it_is_stored(fleet, viewer):
    run_id = fleet.run(Status.COMPLETED, output=[1e20, "é", None])
    response = viewer.get(f"/admin/jobs/run/{encode('run', run_id)}/json/output/")
    assert response.content.decode() == json.dumps([1e20, "é", None])


@pytest.mark.parametrize("name", ["output", "status", "worker"])
def test_json_that_is_not_there_is_not_found(fleet, viewer, name):
    assert viewer.get(f"/admin/jobs/run/{fleet.trigger()}/json/{name}/").status_code == 404


def test_odd_payloads_are_shown(fleet, viewer, page_of):
    for payload in (None, "", 0, [], "null", "9" * 5_000):
        assert "Payload" in page_of(viewer, fleet.trigger(payload=payload))


def test_deeply_nested_payload_is_shown_as_it_is(fleet, viewer, page_of):
    nested: list = []
    for _ in range(900):
        nested = [nested]
    html = page_of(viewer, fleet.trigger(payload=[nested] * 30))
    assert len(html) < 200_000


def test_only_the_last_lines_of_a_long_log_are_shown(fleet, viewer, page_of, monkeypatch):
    monkeypatch.setattr(run_page, "MAX_LINES", 3)
    run_id = fleet.trigger()
    fleet.log(fleet.start(run_id), *(f"line-{number}" for number in range(5)))
    html = page_of(viewer, run_id)
    assert "The last 3 lines." in html
    assert "line-1" not in html
    assert html.index("line-2") < html.index("line-3") < html.index("line-4")


def test_levels_of_the_log_are_marked(fleet, viewer, page_of):
    run_id = fleet.trigger()
    claimed = fleet.start(run_id)
    for level in ("debug", "info", "warn", "error"):
        fleet.log(claimed, level.upper(), level=level)
    html = page_of(viewer, run_id)
    for name in ("jobs-level-debug", "jobs-level-plain", "jobs-level-warn", "jobs-level-error"):
        assert f'<li class="{name}">' in html


def test_public_id_leads_to_the_page(fleet, viewer):
    run_id = encode("run", fleet.trigger())
    assert viewer.get(f"/admin/jobs/run/{run_id}/change/").status_code == 200


@pytest.mark.parametrize("key", ["nonsense", "run_x", str(new_uuid())])
def test_unknown_run_leads_back_with_a_message(fleet, viewer, key):
    response = viewer.get(f"/admin/jobs/run/{key}/change/", follow=True)
    assert response.redirect_chain
    assert "exist" in response.content.decode()
