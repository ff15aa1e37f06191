"""The process that triggers jobs, as an application would: one for each contender.

Run as `python -m benchmarks.producing CONTENDER`; takes requests and gives answers, a line of JSON
each. What a contender has to be able to do is `Producer`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

TEXT = "a small payload"


class Producer(Protocol):
    """A contender as its application uses it. Jobs are numbered; the number is in the payload."""

    def prepare(self) -> None:
        """Make the tables."""

    def fill(self, first: int, count: int) -> None:
        """Queue many jobs in the fastest way that it offers."""

    def trigger(self, number: int) -> None:
        """Queue one job in the usual way."""

    def unfinished(self) -> int:
        """Jobs that its store does not know as finished; 0 where it stores nothing."""


def payload(number: int) -> dict[str, Any]:
    """What every contender's job is given."""
    return {"number": number, "text": TEXT}


def timed_fill(producer: Producer, *, first: int, count: int, at_once: int) -> float:
    """Seconds that queueing many took, `at_once` a call."""
    began = time.monotonic()
    for start in range(first, first + count, at_once):
        producer.fill(start, min(at_once, first + count - start))
    return time.monotonic() - began


def timed_triggers(producer: Producer, *, first: int, count: int) -> list[float]:
    """When each of `count` triggers in a row began, and when the last one ended."""
    began = []
    for number in range(first, first + count):
        began.append(time.monotonic())
        producer.trigger(number)
    return [*began, time.monotonic()]


def paced_triggers(
    producer: Producer, *, first: int, count: int, every_seconds: float
) -> list[float]:
    """When each of `count` single triggers began, with a pause before each."""
    began = []
    for number in range(first, first + count):
        time.sleep(every_seconds)
        began.append(time.monotonic())
        producer.trigger(number)
    return began


def _serve(producer: Producer) -> None:
    # Whatever a library prints must not get among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    own: dict[str, Callable[..., Any]] = {
        "timed_fill": timed_fill,
        "timed_triggers": timed_triggers,
        "paced_triggers": paced_triggers,
    }
    for line in sys.stdin:
        request = json.loads(line)
        name, arguments = request["name"], request["arguments"]
        if name in own:
            answer = own[name](producer, **arguments)
        else:
            answer = getattr(producer, name)(**arguments)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve(import_module(f"benchmarks.contenders.{sys.argv[1]}").Producer())
