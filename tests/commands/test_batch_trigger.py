"""`manage.py batch_trigger`: lines to runs, and what happens at a bad line."""

from __future__ import annotations

import json

import pytest

from jobs_platform.management.commands import batch_trigger
from jobs_platform.models import Run
from tests.commands.conftest import Manage


def _lines(*values: object) -> str:
    return "".join(f"{json.dumps(value)}\n" for value in values)


def test_each_line_is_a_payload(manage: Manage, hello: str) -> None:
    stdin = _lines({"n": 1}, None, {"payload": 3})
    finished = manage("batch_trigger", hello, "--items", "-", "--tag", "t", "--json", stdin=stdin)
    assert finished.code == 0, finished
    assert finished.json["run_count"] == 3
    assert finished.json["batch_id"].startswith("batch_")
    runs = Run.objects.order_by("id")
    assert [run.payload for run in runs] == [{"n": 1}, None, {"payload": 3}]
    assert [run.tags for run in runs] == [["t"]] * 3
    assert len({run.batch_id for run in runs}) == 1


def test_empty_lines_are_passed_over(manage: Manage, hello: str) -> None:
    manage("batch_trigger", hello, "--items", "-", stdin='\n{"n": 1}\n\n{"n": 2}')
    assert Run.objects.count() == 2


def test_with_options_each_line_has_its_own(manage: Manage, hello: str) -> None:
    stdin = _lines({"payload": {"n": 1}, "options": {"tags": ["x"]}}, {"payload": None})
    manage("batch_trigger", hello, "--items", "-", "--with-options", "--tag", "y", stdin=stdin)
    assert [run.tags for run in Run.objects.order_by("id")] == [["x"], ["y"]]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"n": ', "Line 2 is not JSON: Expecting value at column 6, at its end."),
        ('{"n": "x"}', "Line 2: The payload of task 'hello' does not fit"),
    ],
)
def test_a_bad_line_ends_it_and_says_what_was_accepted(
    manage: Manage, hello: str, monkeypatch: pytest.MonkeyPatch, line: str, expected: str
) -> None:
    monkeypatch.setattr(batch_trigger, "CHUNK", 1)
    finished = manage("batch_trigger", hello, "--items", "-", stdin=f'{{"n": 1}}\n{line}\n{{}}')
    assert finished.code == 1
    assert expected in finished.err
    assert "1 run was accepted before it (batch_" in finished.err
    assert Run.objects.count() == 1


@pytest.mark.parametrize(
    ("stdin", "arguments", "expected"),
    [
        ("", (), "- has no item"),
        ("{", (), "Nothing was sent."),
        (b'"\xff"', (), "Line 1 is not UTF-8 text"),
        ("[1]", ("--with-options",), "Line 1 is not an object of the form"),
        ('{"payload": 1, "tags": []}', ("--with-options",), "Line 1 is not an object of the form"),
        ('{"payload": null, "options": 3}', ("--with-options",), "options that are not an object"),
        (
            '{"payload": null, "options": {"tgs": 3}}',
            ("--with-options",),
            "Line 1: Option tgs = 3 is unknown",
        ),
        (
            '{"payload": null, "options": {"environment": "x"}}',
            ("--with-options",),
            "names an environment",
        ),
    ],
)
def test_a_bad_file_sends_nothing(
    manage: Manage, hello: str, stdin: str | bytes, arguments: tuple[str, ...], expected: str
) -> None:
    finished = manage("batch_trigger", hello, "--items", "-", *arguments, stdin=stdin)
    assert (finished.code, expected in finished.err) == (1, True), finished.err
    assert not Run.objects.exists()


def test_a_file_that_is_not_there_is_named(manage: Manage, hello: str) -> None:
    finished = manage("batch_trigger", hello, "--items", "/nowhere/items.ndjson")
    assert finished.code == 2
    assert "/nowhere/items.ndjson: No such file" in finished.err
