"""`manage.py queues`: what it shows, what it changes, and what a person can get wrong."""

from __future__ import annotations

import getpass

import pytest

from jobs_platform import queues
from tests.commands.conftest import Manage
from tests.engine.test_queues import MAIL, make
from tests.world import World


@pytest.fixture
def mail(world: World) -> World:
    make(world, MAIL, concurrency_limit=2)
    world.trigger_many(5, queue=MAIL)
    world.claim_one()
    return world


def test_queues_are_listed(manage: Manage, mail: World) -> None:
    make(mail, "reports")
    header, first, second = manage("queues").out.splitlines()
    assert header.split()[:5] == ["QUEUE", "RUNNING", "IN", "LINE", "LIMIT"]
    assert first.split() == [MAIL, "1", "4", "2"]
    assert second.split() == ["reports", "0", "0"]
    page = manage("queues", "list", "--limit", "1", "--json").json
    assert [queue["name"] for queue in page["queues"]] == [MAIL]
    assert (page["after"], page["environment"]["paused_at"]) == (MAIL, None)
    assert manage("queues", "--environment", "staging").out == "No queues.\n"


def test_a_queue_is_paused_by_a_person_and_resumed(manage: Manage, mail: World) -> None:
    shown = manage("queues", "pause", MAIL)
    assert f"by {getpass.getuser()}" in shown.out
    assert mail.claim(limit=9) == ()
    found = manage("queues", "show", MAIL, "--json").json
    assert (found["is_paused"], found["paused_by"]) == (True, getpass.getuser())
    assert "paused" in manage("queues").out
    assert "State         open" in manage("queues", "resume", MAIL).out
    assert len(mail.claim(limit=9)) == 1


def test_a_limit_is_overridden_and_reset(manage: Manage, mail: World) -> None:
    found = manage("queues", "override", MAIL, "4", "--by", "mary", "--json").json
    assert (found["effective_limit"], found["overridden_by"]) == (4, "mary")
    assert "4 (code: 2)" in manage("queues").out
    shown = manage("queues", "show", MAIL).out
    assert "In the code   2" in shown
    assert "by mary" in shown
    assert manage("queues", "reset", MAIL, "--json").json["override_limit"] is None


def test_a_whole_environment_is_paused_and_resumed(manage: Manage, mail: World) -> None:
    try:
        assert "is paused since" in manage("queues", "pause", "--all", "--by", "mary").out
        assert "by mary." in manage("queues").out
        assert mail.claim(limit=9) == ()
        assert manage("queues", "resume", "--all", "--json").json["paused_at"] is None
    finally:
        queues.resume_all()
    assert len(mail.claim(limit=9)) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("show", "mial"), 1, "error[queue_unknown]: Environment 'dev' has no queue"),
        (("pause", "mial"), 1, 'Did you mean "mail"?'),
        (("override", MAIL, "0"), 1, "is not a whole number from 1 to"),
        (("override", MAIL, "many"), 2, "invalid int value: 'many'"),
        (("override", MAIL), 2, "the following arguments are required: LIMIT"),
        (("pause",), 2, "Name the queue to pause, or say --all."),
        (("resume", MAIL, "--all"), 2, "Either the queue mail or --all, not both."),
        (("list", "--limit", "0"), 1, "is not a whole number from 1 to 1,000"),
        (("destroy",), 2, "invalid choice: 'destroy'"),
    ],
)
def test_what_a_person_can_get_wrong_is_one_line(
    manage: Manage, mail: World, arguments: tuple[str, ...], code: int, expected: str
) -> None:
    finished = manage("queues", *arguments)
    assert finished.code == code, finished
    assert expected in finished.err
    assert len(finished.err.splitlines()) == 1
