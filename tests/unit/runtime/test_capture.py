"""Output and log records inside a run."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import pytest

from jobs_platform import task
from jobs_platform.domain.configuration import Configuration
from jobs_platform.engine.log import LogEntry
from jobs_platform.runtime.capture import Capture, CaptureHandler
from jobs_platform.runtime.executor import Executor
from jobs_platform.runtime.run_log import MAX_CHARACTERS, AttemptLog
from jobs_platform.sdk.logger import MAX_MESSAGE_LENGTH
from tests.unit.runtime.claims import claimed

pytestmark = pytest.mark.usefixtures("fresh_process")

log = logging.getLogger("shop.orders")


class _Streams:
    """The real streams of a process, replaced by text in memory."""

    def __init__(self) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()


@contextmanager
def _captured() -> Iterator[_Streams]:
    """Within a test: pytest itself puts other streams in place before each of its phases."""
    replaced = _Streams()
    with redirect_stdout(replaced.out), redirect_stderr(replaced.err):
        with Capture():
            yield replaced
        assert (sys.stdout, sys.stderr) == (replaced.out, replaced.err)


@pytest.fixture
def lines() -> list[LogEntry]:
    return []


@pytest.fixture
def executor(lines: list[LogEntry]) -> Executor:
    return Executor(Configuration(), lines.append)


def _shown(lines: list[LogEntry]) -> list[tuple[str, str, str]]:
    return [(line.source, line.level, line.message) for line in lines]


def test_output_of_a_run_becomes_its_lines_and_partial_lines_are_joined(
    executor: Executor, lines: list[LogEntry]
) -> None:
    with _captured() as streams:

        @task
        def talks() -> None:
            print("one", "two")
            sys.stdout.write("three ")
            print("oops", file=sys.stderr)
            sys.stdout.writelines(["four\n\nfi", "ve"])
            sys.stdout.flush()

        executor.execute(claimed("talks"))
        assert _shown(lines) == [
            ("stdout", "log", "one two"),
            ("stderr", "error", "oops"),
            ("stdout", "log", "three four"),
            ("stdout", "log", "five"),
        ]
        assert streams.out.getvalue() == streams.err.getvalue() == ""


def test_output_outside_a_run_goes_where_it_went(executor: Executor, lines: list[LogEntry]) -> None:
    with _captured() as streams:

        @task
        def talks() -> None:
            print("local")

        print("before")
        talks.local()
        print("after", file=sys.stderr)
        log.warning("a record")
        assert streams.out.getvalue() == "before\nlocal\n"
        assert streams.err.getvalue() == "after\n"
        assert lines == []


def test_async_output_belongs_to_its_run_too(executor: Executor, lines: list[LogEntry]) -> None:
    with _captured():

        @task
        async def talks() -> None:
            print("from the loop")

        executor.execute(claimed("talks"))
        executor.stop()
        assert _shown(lines) == [("stdout", "log", "from the loop")]


def test_records_of_logging_become_lines_with_their_extras(
    executor: Executor, lines: list[LogEntry]
) -> None:
    with _captured():

        @task
        def logs() -> None:
            log.warning("order %s", 5, extra={"order": 5})
            log.debug("below the level")
            try:
                raise ValueError("no")
            except ValueError:
                log.exception("failed")

        executor.execute(claimed("logs"))
        assert _shown(lines)[0] == ("logging", "warn", "order 5")
        assert json.loads(lines[0].fields or "") == {"logger": "shop.orders", "order": 5}
        assert len(lines) == 2
        assert lines[1].level == "error"
        assert lines[1].message.endswith("ValueError: no")


def test_a_record_that_a_stream_handler_writes_too_is_captured_once(
    executor: Executor, lines: list[LogEntry]
) -> None:
    with _captured() as streams:
        handler = logging.StreamHandler(sys.stderr)
        log.addHandler(handler)

        @task
        def logs() -> None:
            log.error("once")

        try:
            executor.execute(claimed("logs"))
        finally:
            log.removeHandler(handler)
        assert _shown(lines) == [("logging", "error", "once")]
        assert streams.err.getvalue() == "once\n"


def test_a_record_with_arguments_that_do_not_fit_is_kept_as_it_is(
    executor: Executor, lines: list[LogEntry]
) -> None:
    with _captured():

        @task
        def logs() -> None:
            record = {
                "name": "shop",
                "msg": "%d items",
                "args": ("none",),
                "levelno": logging.ERROR,
            }
            CaptureHandler().handle(logging.makeLogRecord(record))

        executor.execute(claimed("logs"))
        assert lines[0].message == "%d items ('none',)"


def test_what_the_platform_logs_about_itself_is_not_the_runs(
    executor: Executor, lines: list[LogEntry]
) -> None:
    with _captured():

        @task
        def logs() -> None:
            logging.getLogger("jobs_platform.engine.trigger").error("internal")

        executor.execute(claimed("logs"))
        assert lines == []


def test_a_million_lines_are_bounded(lines: list[LogEntry]) -> None:
    with _captured():
        executor = Executor(Configuration(log_lines_per_run=100), lines.append)

        @task
        def floods() -> None:
            sys.stdout.write("x\n" * 1_000_000)

        executor.execute(claimed("floods"))
        assert len(lines) == 101
        assert lines[-1].message.startswith("999,900 more lines were dropped")


def test_long_messages_are_cut_and_their_sum_is_bounded(lines: list[LogEntry]) -> None:
    attempt_log = AttemptLog(claimed("t"), lines.append, limit=100_000)
    for _ in range(200):
        attempt_log.add("info", "x" * (MAX_MESSAGE_LENGTH + 1), None, "logger")
    attempt_log.close()
    assert {len(line.message) for line in lines[:-1]} == {MAX_MESSAGE_LENGTH}
    assert len(lines) == MAX_CHARACTERS // MAX_MESSAGE_LENGTH + 1
    assert "dropped" in lines[-1].message


def test_output_without_any_line_end_is_let_out_in_pieces(lines: list[LogEntry]) -> None:
    attempt_log = AttemptLog(claimed("t"), lines.append, limit=10)
    attempt_log.feed("x" * (MAX_MESSAGE_LENGTH + 1), "stdout")
    assert len(lines) == 1


def test_what_comes_after_the_end_of_an_attempt_is_not_kept(lines: list[LogEntry]) -> None:
    attempt_log = AttemptLog(claimed("t"), lines.append, limit=10)
    attempt_log.feed("partial\r", "stdout")
    attempt_log.close()
    attempt_log.add("info", "late", None, "logger")
    attempt_log.feed("later\n", "stdout")
    assert [line.message for line in lines] == ["partial"]


def test_lines_are_storable_whatever_they_hold(lines: list[LogEntry]) -> None:
    attempt_log = AttemptLog(claimed("t"), lines.append, limit=10)
    attempt_log.add("info", "a\0b\ud800", None, "logger")
    assert lines[0].message == "a\ufffdb\ufffd"


def test_a_proxy_is_otherwise_the_stream_it_stands_for() -> None:
    with _captured():
        assert sys.stdout.isatty() is False
        assert sys.stdout.getvalue() == ""  # type: ignore[union-attr]


def test_installing_twice_is_installing_once() -> None:
    with _captured():
        inner = Capture()
        inner.install()
        proxy = sys.stdout
        inner.install()
        assert sys.stdout is proxy
        inner.remove()
        inner.remove()
        assert sys.stdout is not proxy
