"""Batches, workers, queues, tasks, schedules and environments; and that nothing can be edited."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from jobs_platform.domain.ids import encode, new_uuid
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.environments import environment_id
from jobs_platform.engine.trigger import trigger_batch
from jobs_platform.engine.worker import register_worker
from jobs_platform.models import Batch, Environment, Queue, Run, Schedule, TaskDefinition, Worker
from jobs_platform.sdk.ports import TriggerRequest

MODELS = (Run, Batch, Worker, Queue, TaskDefinition, Schedule, Environment)


@pytest.fixture
def superuser(db):
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def insert(table: str, **columns):
    """A row that no verb of the engine makes yet."""
    names = ", ".join(columns)
    values = ", ".join(["%s"] * len(columns))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) VALUES ({values}) RETURNING id", list(columns.values())
        )
        return cursor.fetchone()[0]


@pytest.fixture
def rows(fleet):
    """One row of each model: its model's name → its key."""
    fleet.start(fleet.trigger())
    request = TriggerRequest("t", "1", queue="default", worker_queue="x", max_attempts=1)
    batch_id, (run, _) = trigger_batch([request, request])
    environment = environment_id()
    return {
        "run": run.id,
        "batch": batch_id,
        "worker": fleet.worker_id,
        "queue": insert("jobs_queue", environment_id=environment, name="mail", concurrency_limit=5),
        "taskdefinition": insert(
            "jobs_task_definition",
            environment_id=environment,
            task_id="send-email",
            queue="mail",
            machine="small-1x",
            max_attempts=3,
            payload_schema='{"type": "object"}',
        ),
        "schedule": insert(
            "jobs_schedule",
            id=new_uuid(),
            environment_id=environment,
            task_id="send-email",
            deduplication_key="declared",
            cron="0 9 * * *",
            timezone="Asia/Tokyo",
            next_fire_at=timezone.now() + timedelta(hours=2),
        ),
        "environment": environment,
    }


@pytest.mark.parametrize("model", MODELS)
def test_list_and_page_open(rows, superuser, model):
    name = model._meta.model_name
    assert str(rows[name]) in superuser.get(f"/admin/jobs/{name}/").content.decode()
    page = superuser.get(f"/admin/jobs/{name}/{rows[name]}/change/")
    assert page.status_code == 200
    html = page.content.decode()
    assert 'name="_save"' not in html
    assert "deletelink" not in html


@pytest.mark.parametrize("model", MODELS)
def test_nothing_can_be_added_changed_or_deleted(rows, superuser, model):
    name = model._meta.model_name
    url = f"/admin/jobs/{name}/"
    assert superuser.get(f"{url}add/").status_code == 403
    assert superuser.post(f"{url}add/", {}).status_code == 403
    assert superuser.post(f"{url}{rows[name]}/change/", {"status": "FAILED"}).status_code in (
        403,
        405,
    )
    assert superuser.post(f"{url}{rows[name]}/delete/", {"post": "yes"}).status_code == 403
    delete = {"action": "delete_selected", "_selected_action": [rows[name]], "post": "yes"}
    superuser.post(url, delete)
    assert model.objects.filter(pk=rows[name]).exists()


@pytest.mark.parametrize("model", MODELS)
def test_model_admin_grants_no_write(model, rf, superuser):
    request = rf.get("/")
    request.user = User.objects.get(username="root")
    model_admin = admin.site._registry[model]
    assert not model_admin.has_add_permission(request)
    assert not model_admin.has_change_permission(request)
    assert not model_admin.has_delete_permission(request)


@pytest.mark.parametrize("model", MODELS)
def test_stranger_sees_nothing(rows, member, model):
    name = model._meta.model_name
    stranger = member()
    assert stranger.get(f"/admin/jobs/{name}/").status_code == 403
    assert stranger.get(f"/admin/jobs/{name}/{rows[name]}/change/").status_code == 403
    assert stranger.get(f"/admin/jobs/run/{rows['run']}/json/payload/").status_code == 403


def test_anonymous_is_sent_to_the_login(rows, client):
    response = client.get(f"/admin/jobs/run/{rows['run']}/change/")
    assert response.status_code == 302
    assert response.url.startswith("/admin/login/")


def test_batch_tells_how_far_it_has_come(fleet, rows, superuser):
    claimed = fleet.start(rows["run"])
    fleet.finish(claimed, Status.COMPLETED)
    public_id = encode("batch", rows["batch"])
    html = superuser.get(f"/admin/jobs/batch/{public_id}/change/").content.decode()
    assert "1 of 2 over." in html
    assert f"batch={public_id}&amp;status=COMPLETED" in html
    assert public_id in superuser.get("/admin/jobs/batch/", {"q": public_id}).content.decode()
    assert "No results" in superuser.get("/admin/jobs/batch/", {"q": "x"}).content.decode()


def test_worker_tells_what_it_executes(fleet, superuser):
    over, live = fleet.run(Status.COMPLETED), fleet.trigger("live-task")
    fleet.start(live)
    html = superuser.get(f"/admin/jobs/worker/{fleet.worker_id}/change/").content.decode()
    assert encode("run", live) in html
    assert "live-task" in html
    assert encode("run", over) not in html


def test_workers_are_live_lost_or_stopped(fleet, superuser):
    def register(name, lease_seconds):
        return register_worker(
            fleet.line,
            environment_id=environment_id(),
            name=name,
            worker_queues=["default"],
            pool="threads",
            slots=4,
            lease_seconds=lease_seconds,
        )

    register("gone-b", -5)
    fleet.line.execute("stop_worker", {"worker_id": register("over-c", 30)})
    for state, name in (("live", "worker-a"), ("lost", "gone-b"), ("stopped", "over-c")):
        html = superuser.get("/admin/jobs/worker/", {"state": state}).content.decode()
        assert name in html
        assert f">{state}</span>" in html
        assert sum(other in html for other in ("worker-a", "gone-b", "over-c")) == 1


def test_schedule_links_to_its_runs(rows, superuser):
    public_id = encode("sched", rows["schedule"])
    html = superuser.get(f"/admin/jobs/schedule/{rows['schedule']}/change/").content.decode()
    assert f"/admin/jobs/run/?schedule={public_id}" in html
    assert "0 9 * * *" in html
    assert (
        superuser.get("/admin/jobs/run/", {"schedule": public_id}).context["cl"].result_count == 0
    )


def test_index_names_every_model(rows, superuser):
    html = superuser.get("/admin/").content.decode()
    for name in ("run", "batch", "worker", "queue", "taskdefinition", "schedule", "environment"):
        assert f"/admin/jobs/{name}/" in html
        assert f"/admin/jobs/{name}/add/" not in html
