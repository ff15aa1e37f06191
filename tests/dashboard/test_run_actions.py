"""Cancel and replay: who may, what happens, what is said."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from dashboard import run_actions
from jobs_platform.domain.ids import encode, new_uuid
from jobs_platform.domain.lifecycle import Status
from jobs_platform.models import Run
from jobs_platform.sdk import ports

LIST = "/admin/jobs/run/"


def act(client, name, *run_ids, **more):
    data = {"action": f"{name}_selected", "_selected_action": run_ids} | more
    return client.post(LIST, data, follow=True)


def status_of(run_id):
    return ports.engine().status_of(run_id)[0]


def texts(response):
    return [str(message) for message in response.context["messages"]]


def test_cancel_on_the_page_asks_first(fleet, operator):
    run_id = fleet.trigger()
    response = operator.get(f"{LIST}{run_id}/cancel/")
    assert "Cancel this run?" in response.content.decode()
    assert status_of(run_id) == Status.QUEUED


def test_cancel_on_the_page(fleet, operator, page_of):
    run_id = fleet.trigger()
    response = operator.post(f"{LIST}{run_id}/cancel/", follow=True)
    assert response.redirect_chain[-1][0] == f"{LIST}{run_id}/change/"
    assert status_of(run_id) == Status.CANCELED
    assert "Cancelled by mary in the admin." in page_of(operator, run_id)
    assert "Cancelled" in texts(response)[0]
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.user.username) == (str(run_id), "mary")


def test_cancel_of_a_final_run_changes_nothing(fleet, operator):
    run_id = fleet.run(Status.COMPLETED, output=1)
    for response in (
        operator.get(f"{LIST}{run_id}/cancel/", follow=True),
        operator.post(f"{LIST}{run_id}/cancel/", follow=True),
    ):
        assert "was already over" in texts(response)[0]
    assert status_of(run_id) == Status.COMPLETED
    assert not LogEntry.objects.exists()


def test_replay_on_the_page_leads_to_the_new_run(fleet, operator):
    run_id = fleet.run(Status.FAILED, error={"name": "E", "message": "m"})
    assert "Replay this run?" in operator.get(f"{LIST}{run_id}/replay/").content.decode()
    assert Run.objects.count() == 1
    response = operator.post(f"{LIST}{run_id}/replay/", follow=True)
    new = Run.objects.get(replay_of=run_id)
    assert response.redirect_chain[-1][0] == f"{LIST}{new.pk}/change/"
    assert encode("run", new.pk) in texts(response)[0]
    assert encode("run", new.pk) in LogEntry.objects.get().change_message


def test_selected_runs_are_cancelled_after_a_question(fleet, operator):
    live, over = fleet.trigger(), fleet.run(Status.COMPLETED)
    asked = act(operator, "cancel", live, over)
    html = asked.content.decode()
    assert "Cancel these 2 runs?" in html
    assert f'value="{live}"' in html
    assert status_of(live) == Status.QUEUED
    done = act(operator, "cancel", live, over, confirmed="yes")
    cancelled, were_final = texts(done)
    assert encode("run", live) in cancelled
    assert encode("run", over) in were_final
    assert status_of(live) == Status.CANCELED


def test_selected_runs_are_replayed_and_linked(fleet, operator):
    old = [fleet.run(Status.COMPLETED) for _ in range(2)]
    response = act(operator, "replay", *old, confirmed="yes")
    (said,) = texts(response)
    new = Run.objects.filter(replay_of__in=old)
    assert len(new) == 2
    assert all(f"{LIST}{run.pk}/change/" in said for run in new)


def test_too_many_runs_are_refused_whole(fleet, operator, monkeypatch):
    monkeypatch.setattr(run_actions, "MAX_RUNS", 1)
    run_ids = [fleet.trigger(), fleet.trigger()]
    response = act(operator, "cancel", *run_ids, confirmed="yes")
    assert "up to 1 runs" in texts(response)[0]
    assert {status_of(run_id) for run_id in run_ids} == {Status.QUEUED}


def test_run_that_is_gone_is_told_and_the_others_are_done(fleet, operator, monkeypatch):
    run_ids = [fleet.trigger(), fleet.trigger()]
    engine = ports.engine()
    cancel = engine.cancel
    gone = new_uuid()

    class Engine:
        def cancel(self, run_id, *, reason=None):
            return cancel(gone if run_id == run_ids[0] else run_id, reason=reason)

    monkeypatch.setattr(ports, "engine", Engine)
    response = act(operator, "cancel", *run_ids, confirmed="yes")
    assert any("failed: No run has the id" in text for text in texts(response))
    assert Run.objects.get(pk=run_ids[1]).status == Status.CANCELED


@pytest.mark.parametrize("verb", ["cancel", "replay"])
def test_reading_permission_does_not_suffice(fleet, viewer, page_of, verb):
    run_id = fleet.trigger()
    assert f"/{verb}/" not in page_of(viewer, run_id)
    assert f'value="{verb}_selected"' not in viewer.get(LIST).content.decode()
    assert viewer.get(f"{LIST}{run_id}/{verb}/").status_code == 403
    assert viewer.post(f"{LIST}{run_id}/{verb}/").status_code == 403
    act(viewer, verb, run_id, confirmed="yes")
    assert status_of(run_id) == Status.QUEUED
    assert Run.objects.count() == 1


@pytest.mark.parametrize("verb", ["cancel", "replay"])
def test_request_without_the_token_is_refused(fleet, operator, verb):
    run_id = fleet.trigger()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    assert strict.post(f"{LIST}{run_id}/{verb}/").status_code == 403
    assert Run.objects.get().status == Status.QUEUED


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_refused(fleet, operator, method):
    run_id = fleet.trigger()
    assert getattr(operator, method)(f"{LIST}{run_id}/cancel/").status_code == 405
    assert status_of(run_id) == Status.QUEUED
