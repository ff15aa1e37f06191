"""`manage.py runs`: list, show, watch, cancel and replay."""

from __future__ import annotations

import pytest

from jobs_platform.domain.ids import encode
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.log import write_log_lines
from jobs_platform.models import Run
from tests.commands.conftest import Finished, Manage
from tests.engine.test_queues import make
from tests.world import World, completed, ended, log_entry

UNKNOWN = "run_" + "0" * 26


def _triggered(manage: Manage, *arguments: str) -> str:
    return manage("trigger", "hello", "--json", *arguments).json["id"]


def _ids(finished: Finished) -> list[str]:
    return [run["id"] for run in finished.json["runs"]]


def test_the_newest_runs_come_first_and_page_on(manage: Manage, hello: str) -> None:
    ids = [_triggered(manage) for _ in range(3)][::-1]
    assert _ids(manage("runs", "--json")) == ids
    page = manage("runs", "list", "--limit", "2", "--json")
    assert (_ids(page), page.json["before"]) == (ids[:2], ids[1])
    rest = manage("runs", "list", "--before", ids[1], "--json")
    assert (_ids(rest), rest.json["before"]) == (ids[2:], None)


def test_filters_are_joined(manage: Manage, hello: str) -> None:
    wanted = _triggered(manage, "--tag", "a", "--queue", "special")
    _triggered(manage, "--tag", "a")
    listed = manage(
        "runs", "--json", "list", "--tag", "a", "--queue", "special", "--task", "hello",
        "--status", "queued",
    )  # fmt: skip
    assert _ids(listed) == [wanted]
    assert manage("runs", "list", "--tag", "nobody").out == "No runs.\n"


def test_a_table_is_plain_when_piped(manage: Manage, hello: str) -> None:
    run_id = _triggered(manage)
    header, line = manage("runs").out.splitlines()
    assert header.split()[:3] == ["RUN", "TASK", "STATUS"]
    assert line.split()[:4] == [run_id, "hello", "QUEUED", "0/3"]


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("list", "--status", "DONE"), 1, "is not one of DELAYED, QUEUED"),
        (("list", "--limit", "0"), 1, "is not a whole number from 1 to 1,000"),
        (("list", "--limit", "many"), 2, "invalid int value: 'many'"),
        (("list", "--before", "batch_1"), 1, "error[id_invalid]"),
        (("show",), 2, "the following arguments are required: RUN"),
        (("show", "run_1"), 1, "error[id_invalid]"),
        (("show", UNKNOWN), 1, "error[run_not_found]"),
        (("watch", UNKNOWN), 1, "error[run_not_found]"),
        (("replay", UNKNOWN), 1, "error[run_not_found]"),
        (("replay", UNKNOWN, "--payload", "{"), 2, "error[json_invalid]"),
        (("cancel",), 2, "the following arguments are required: RUN"),
        (("destroy",), 2, "invalid choice: 'destroy'"),
    ],
)
def test_what_a_person_can_get_wrong_is_one_line(
    manage: Manage, hello: str, arguments: tuple[str, ...], code: int, expected: str
) -> None:
    finished = manage("runs", *arguments)
    assert finished.code == code, finished
    assert expected in finished.err
    assert len(finished.err.splitlines()) == 1


def test_show_tells_everything_about_a_run(manage: Manage, world: World) -> None:
    run = world.executing(task_id="hello", payload='{"n": 1}', tags=("t",))
    entries = [log_entry(run, f"line {number}\x1b[2J") for number in range(5)]
    write_log_lines(world.line, entries, environment_id=world.environment_id)
    world.finish(completed(run, '{"answer": 42}'))
    shown = manage("runs", "show", encode("run", run.id), "--lines", "2").out
    assert "Status       COMPLETED" in shown
    assert "● Attempt started" in shown
    assert '"answer": 42' in shown
    assert "line 2" not in shown
    assert "line 4\ufffd[2J" in shown  # what would steer the terminal is not passed on
    found = manage("runs", "show", encode("run", run.id), "--json").json
    assert found["run"]["payload"] == {"n": 1}
    assert [event["name"] for event in found["events"]] == ["trigger", "claim", "complete"]
    assert len(found["log"]) == 5


def test_show_tells_why_a_run_failed(manage: Manage, world: World) -> None:
    run = world.executing(task_id="hello")
    world.finish(ended(run, Status.FAILED))
    assert "ValueError: no" in manage("runs", "show", encode("run", run.id)).out


def test_watching_a_run_that_is_over_shows_it_and_its_fate(manage: Manage, world: World) -> None:
    good, bad = world.executing(task_id="hello"), world.executing(task_id="hello")
    world.finish(completed(good, "7"), ended(bad, Status.TIMED_OUT))
    finished = manage("runs", "watch", encode("run", good.id))
    assert (finished.code, finished.out.splitlines()[-1]) == (0, "7")
    finished = manage("runs", "watch", encode("run", bad.id))
    assert (finished.code, "ended as TIMED_OUT" in finished.err) == (1, True)


def test_cancel_does_what_it_can_and_reports_the_rest(manage: Manage, hello: str) -> None:
    run_id = _triggered(manage)
    finished = manage("runs", "cancel", run_id, UNKNOWN, "--reason", "too late")
    assert (finished.code, finished.out) == (1, f"{run_id} cancelled\n")
    assert "error[run_not_found]" in finished.err
    assert Run.objects.get().status == Status.CANCELED
    again = manage("runs", "cancel", run_id, "--json")
    assert again.code == 0
    assert again.json["runs"] == [{"id": run_id, "is_cancelled": False, "error": None}]


def test_replay_repeats_the_payload_or_takes_another(manage: Manage, hello: str) -> None:
    run_id = _triggered(manage, "--payload", '{"n": 1}')
    manage("runs", "replay", run_id)
    manage("runs", "replay", run_id, "--payload", '{"n": 2}')
    manage("runs", "replay", run_id, "--payload", "null")
    payloads = [run.payload for run in Run.objects.order_by("id")]
    assert payloads == [{"n": 1}, {"n": 1}, {"n": 2}, None]


def test_explain_tells_what_a_run_waits_for(manage: Manage, world: World) -> None:
    make(world, "mail", concurrency_limit=1)
    _, waiting = (encode("run", run_id) for run_id in world.trigger_many(2, queue="mail"))
    shown = manage("runs", "explain", waiting).out
    assert "1 of 1 slots of queue mail are in use." in shown
    assert "Position 1 in queue mail." in shown
    found = manage("runs", "explain", waiting, "--json").json
    assert (found["position"], found["reasons"][0]["code"]) == (1, "queue_limit")
    assert manage("runs", "explain", UNKNOWN).err.startswith("error[run_not_found]")


def test_show_explains_a_run_that_is_not_over(manage: Manage, world: World) -> None:
    run = world.executing()
    shown = encode("run", run.id)
    assert "Attempt 1 of 3 executes on worker test" in manage("runs", "show", shown).out
    explained = manage("runs", "show", shown, "--json").json["explanation"]
    assert explained["reasons"][0]["code"] == "executing"
    world.finish(completed(run))
    assert manage("runs", "show", shown, "--json").json["explanation"] is None
