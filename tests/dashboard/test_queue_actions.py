"""Queues and environments in the admin: what is shown, who may hold them back, and what is said."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.environments import environment_id
from jobs_platform.models import Environment, Queue
from jobs_platform.sdk.queues import queues

LIST = "/admin/jobs/queue/"


@pytest.fixture
def mail(fleet) -> int:
    """The key of a queue with a limit of two, one running and two queued runs."""
    queue = make("mail", 2)
    first, *_ = [fleet.trigger(queue="mail") for _ in range(3)]
    make_due()
    with connection.cursor() as cursor:
        cursor.execute("SELECT jobs_admit(%s, 'mail', 10, NULL)", [environment_id()])
    fleet.start(first)
    return queue


@pytest.fixture
def keeper(member) -> Client:
    return member("view_queue", "change_queue", "view_environment", "change_environment")


def make(name: str, limit: int | None = None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs_queue (environment_id, name, concurrency_limit)"
            " VALUES (%s, %s, %s) RETURNING id",
            [environment_id(), name, limit],
        )
        return cursor.fetchone()[0]


def make_due() -> None:
    """In one transaction the clock of admission stands still, and that of triggers goes on."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_run SET run_at = now()")


def texts(response) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def act(client: Client, name: str, *keys: int, url: str = LIST):
    data = {"action": f"{name}_selected", "_selected_action": keys}
    return client.post(url, data, follow=True)


def cells(html: str, name: str) -> str:
    """The text of a column in the list's only row."""
    found = html.split(f"field-{name}")[1].split("</td>", maxsplit=1)[0]
    return found.split(">", 1)[1].strip()


def test_the_list_counts_what_runs_and_what_waits(mail, keeper):
    html = keeper.get(LIST).content.decode()
    assert cells(html, "running").startswith("1")
    assert cells(html, "queued").startswith("2")
    assert cells(html, "limit").startswith("2")


def test_the_list_asks_no_more_for_many_queues_than_for_one(mail, keeper):
    keeper.get(LIST)
    with CaptureQueriesContext(
        connection,
    ) as one:
        keeper.get(LIST)
    for number in range(10):
        make(f"queue-{number}")
    with CaptureQueriesContext(connection) as many:
        keeper.get(LIST)
    assert len(many) == len(one)


def test_selected_queues_are_paused_and_resumed(mail, keeper):
    other = make("reports")
    said = texts(act(keeper, "pause", mail, other))
    assert said == ["Paused mail.", "Paused reports."]
    assert set(Queue.objects.values_list("paused_by", flat=True)) == {"mary"}
    assert "paused" in keeper.get(LIST).content.decode()
    assert {entry.user.username for entry in LogEntry.objects.all()} == {"mary"}
    act(keeper, "resume", mail)
    assert [queue.name for queue in Queue.objects.filter(paused_at=None)] == ["mail"]


def test_the_page_shows_who_paused_and_offers_what_can_be_done(mail, keeper):
    queues.pause("mail", by="john")
    html = keeper.get(f"{LIST}{mail}/change/").content.decode()
    assert " by john" in html
    for verb in ("pause", "resume", "override", "reset"):
        assert f"{LIST}{mail}/do/{verb}/" in html


def test_a_pause_on_the_page_asks_first(mail, keeper):
    asked = keeper.get(f"{LIST}{mail}/do/pause/").content.decode()
    assert "Pause queue mail?" in asked
    assert not queues.retrieve("mail").is_paused
    done = keeper.post(f"{LIST}{mail}/do/pause/", follow=True)
    assert done.redirect_chain[-1][0] == f"{LIST}{mail}/change/"
    assert queues.retrieve("mail").paused_by == "mary"


def test_a_limit_is_overridden_by_a_person_and_reset(mail, keeper):
    assert 'name="limit"' in keeper.get(f"{LIST}{mail}/do/override/").content.decode()
    done = keeper.post(f"{LIST}{mail}/do/override/", {"limit": "7"}, follow=True)
    assert texts(done) == ["Overrode the limit of mail: 7."]
    info = queues.retrieve("mail")
    assert (info.override_limit, info.overridden_by) == (7, "mary")
    assert "overridden" in keeper.get(f"{LIST}{mail}/change/").content.decode()
    keeper.post(f"{LIST}{mail}/do/reset/")
    assert queues.retrieve("mail").override_limit is None


@pytest.mark.parametrize("limit", ["", "0", "-1", "many", "9" * 30])
def test_a_limit_that_counts_no_runs_is_asked_for_again(mail, keeper, limit):
    response = keeper.post(f"{LIST}{mail}/do/override/", {"limit": limit})
    assert response.status_code == 200
    assert response.context["form"].errors
    assert queues.retrieve("mail").override_limit is None


@pytest.mark.parametrize("verb", ["pause", "resume", "override", "reset"])
def test_reading_permission_does_not_suffice(mail, member, verb):
    reader = member("view_queue")
    url = f"{LIST}{mail}/do/{verb}/"
    assert url not in reader.get(f"{LIST}{mail}/change/").content.decode()
    assert reader.get(url).status_code == 403
    assert reader.post(url, {"limit": "7"}).status_code == 403
    act(reader, verb, mail)
    info = queues.retrieve("mail")
    assert (info.is_paused, info.override_limit) == (False, None)


def test_what_is_not_there_is_not_done(mail, keeper):
    for url in (f"{LIST}{mail}/do/destroy/", f"{LIST}999999/do/pause/"):
        assert keeper.post(url).status_code == 302
    assert keeper.put(f"{LIST}{mail}/do/pause/").status_code == 405
    assert not queues.retrieve("mail").is_paused


def test_request_without_the_token_is_refused(mail, keeper):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = keeper.cookies
    assert strict.post(f"{LIST}{mail}/do/pause/").status_code == 403
    assert not queues.retrieve("mail").is_paused


def test_an_environment_is_paused_and_resumed(mail, keeper):
    url = "/admin/jobs/environment/"
    said = texts(act(keeper, "pause", environment_id(), url=url))
    assert said == ["Paused dev: nothing of it starts."]
    assert Environment.objects.get(pk=environment_id()).paused_by == "mary"
    assert " by mary" in keeper.get(url).content.decode()
    act(keeper, "resume", environment_id(), url=url)
    assert Environment.objects.get(pk=environment_id()).paused_at is None


def test_the_page_of_a_run_tells_why_it_waits(mail, fleet, viewer, page_of):
    run_id = fleet.trigger(queue="mail", concurrency_keys=("tenant-7",))
    make_due()
    html = page_of(viewer, run_id)
    assert "Why it waits" in html
    assert "2 of 2 slots of queue mail are in use." in html
    assert "tenant-7" in html
    assert ", position 1" in html


def test_the_page_of_a_run_that_is_over_waits_for_nothing(fleet, viewer, page_of):
    assert "jobs-reasons" not in page_of(viewer, fleet.run(Status.COMPLETED))
