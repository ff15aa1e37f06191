"""`manage.py trigger`: what it accepts, what it prints, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs_platform.domain.lifecycle import Status
from jobs_platform.management.commands import trigger as trigger_command
from jobs_platform.models import Run
from tests.commands.conftest import Manage

Finishing = Callable[[Status], None]


def test_a_run_is_triggered_with_its_payload_and_options(manage: Manage, hello: str) -> None:
    finished = manage(
        "trigger", hello, "--payload", '{"n": 1}', "--tag", "a:1", "--tag", "b:2",
        "--priority", "7", "--max-attempts", "2", "--queue", "other", "--metadata", '{"k": 3}',
        "--test", "--task-version", "v9", "--machine", "micro", "--json",
    )  # fmt: skip
    assert finished.code == 0, finished
    run = Run.objects.get()
    assert finished.json["task_id"] == "hello"
    assert finished.json["id"].startswith("run_")
    assert (run.payload, run.tags, run.priority_seconds) == ({"n": 1}, ["a:1", "b:2"], 7)
    assert (run.max_attempts, run.queue, run.metadata) == (2, "other", {"k": 3})
    assert (run.is_test, run.task_version, run.worker_queue) == (True, "v9", "micro")


def test_without_a_payload_it_is_null(manage: Manage, hello: str) -> None:
    finished = manage("trigger", hello)
    assert finished.out.startswith("run_")
    assert Run.objects.get().payload is None


def test_the_payload_may_come_from_a_file(manage: Manage, hello: str, tmp_path: Path) -> None:
    file = tmp_path / "payload.json"
    file.write_text('\ufeff{"n": 5}', "utf-8")
    assert manage("trigger", hello, "--payload", f"@{file}").code == 0
    assert Run.objects.get().payload == {"n": 5}


def test_the_payload_may_come_from_standard_input(manage: Manage, hello: str) -> None:
    assert manage("trigger", hello, "--payload", "-", stdin='{"n": 6}').code == 0
    assert Run.objects.get().payload == {"n": 6}


@pytest.mark.parametrize(
    ("payload", "code", "expected"),
    [
        ("{'n': 1}", "json_invalid", "line 1, column 2, before \"'n': 1}\". In a shell put single"),
        ('{"n": ', "json_invalid", "at its end"),
        ('{"n": NaN}', "json_invalid", "NaN is a number that JSON does not have"),
        ("[" * 100_000, "json_invalid", "nested too deeply"),
        ("@", "usage", "needs the name of a file"),
        ("@/nowhere/x.json", "file_unreadable", "No such file or directory"),
        ("@/", "file_unreadable", "Is a directory"),
    ],
)
def test_a_payload_that_cannot_be_read_says_where(
    manage: Manage, hello: str, payload: str, code: str, expected: str
) -> None:
    finished = manage("trigger", hello, "--payload", payload)
    assert finished.code == 2
    assert finished.err.startswith(f"error[{code}]: ")
    assert expected in finished.err
    assert not Run.objects.exists()


def test_a_payload_of_other_bytes_is_refused(manage: Manage, hello: str) -> None:
    finished = manage("trigger", hello, "--payload", "-", stdin=b'"\xff"')
    assert (finished.code, "not UTF-8 text (byte 1)" in finished.err) == (2, True)


def test_a_payload_that_does_not_fit_its_type_is_refused(manage: Manage, hello: str) -> None:
    finished = manage("trigger", hello, "--payload", '{"n": "many"}', "--json")
    assert finished.code == 1
    assert finished.json["error"]["code"] == "payload_validation"
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ((), 2, "error[usage]: the following arguments are required: task"),
        (("helo",), 1, 'Did you mean "hello"?'),
        (("hello", "--timeout", "3s"), 2, "--timeout belongs to --wait or --watch"),
        (("hello", "--wait", "--timeout", "3y"), 2, "error[duration_invalid]"),
        (("hello", "--wait", "--timeout", "inf"), 2, "not a finite number"),
        (("hello", "--priority", "soon"), 2, "invalid float value: 'soon'"),
        (("hello", "--priority", "nan"), 1, "not a number of seconds"),
        (("hello", "--max-attempts", "0"), 1, "error[option_invalid]"),
        (("hello", "--machine", "huge"), 1, "is not one of micro"),
        (("hello", "--metadata", "[1]"), 1, "is not a dict"),
        (("hello", "--metadata", "{"), 2, "--metadata is not JSON"),
        (("hello", "--tag", ""), 1, "error[tag_invalid]"),
        (("hello", "--environment", "a b"), 1, "error[option_invalid]"),
        (("hello", "--payload", "-", "--metadata", "-"), 2, "not both"),
        (("hello", "--colour"), 2, "unrecognized arguments: --colour"),
    ],
)
def test_what_a_person_can_get_wrong_is_one_line(
    manage: Manage, hello: str, arguments: tuple[str, ...], code: int, expected: str
) -> None:
    finished = manage("trigger", *arguments)
    assert finished.code == code, finished
    assert expected in finished.err
    assert len(finished.err.splitlines()) == 1
    assert not Run.objects.exists()


def test_wait_prints_the_output(manage: Manage, hello: str, finishing: Finishing) -> None:
    finishing(Status.COMPLETED)
    finished = manage("trigger", hello, "--wait")
    assert (finished.code, finished.out) == (0, '{\n  "answer": 42\n}\n')
    assert finished.err.startswith("run_")


def test_wait_ends_badly_when_the_run_does(
    manage: Manage, hello: str, finishing: Finishing
) -> None:
    finishing(Status.FAILED)
    finished = manage("trigger", hello, "--wait")
    assert (finished.code, finished.out) == (1, "")
    assert "ended as FAILED: ValueError: no good" in finished.err
    assert "Trace" in finished.err


def test_wait_with_json_prints_the_run(manage: Manage, hello: str, finishing: Finishing) -> None:
    finishing(Status.FAILED)
    finished = manage("trigger", hello, "--wait", "--json")
    assert (finished.code, finished.json["status"]) == (1, "FAILED")


def test_watch_shows_the_moves_as_lines(manage: Manage, hello: str, finishing: Finishing) -> None:
    finishing(Status.COMPLETED)
    lines = manage("trigger", hello, "--watch").out.splitlines()
    assert [line.partition("● ")[2].split("  ")[0] for line in lines[:3]] == [
        "Triggered",
        "Attempt started",
        "Completed",
    ]


def test_watch_with_json_is_one_object_a_line(
    manage: Manage, hello: str, finishing: Finishing
) -> None:
    finishing(Status.COMPLETED)
    lines = manage("trigger", hello, "--watch", "--json").json_lines
    assert [line["type"] for line in lines] == ["triggered", "event", "event", "event", "run"]
    assert lines[-1]["run"]["output"] == {"answer": 42}


def test_a_timeout_says_that_the_run_goes_on(manage: Manage, hello: str) -> None:
    finished = manage("trigger", hello, "--wait", "--timeout", "0.01")
    assert finished.code == 1
    assert "is still QUEUED after 0.01 seconds. It goes on" in finished.err


def test_an_interrupted_wait_is_quiet_and_names_the_run(
    manage: Manage, hello: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trigger_command, "follow", interrupted)
    finished = manage("trigger", hello, "--wait")
    assert (finished.code, finished.out) == (130, "")
    assert "goes on: manage.py runs watch run_" in finished.err
    assert "Traceback" not in finished.err
