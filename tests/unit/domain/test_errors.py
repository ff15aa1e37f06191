"""The tree of errors: wording, codes, and the way over process borders."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from jobs_platform.domain import errors
from jobs_platform.domain.errors import (
    AbortTaskRunError,
    DataError,
    InvalidOptionError,
    JobsError,
    OutputError,
    OutputTooLargeError,
    PayloadError,
    PayloadTooLargeError,
    PayloadValidationError,
    RunCancelled,
    UnknownTaskError,
    close_matches,
)

EVERY = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, JobsError)
]
SAMPLE = {"line": 3, "size": 10, "limit": 5, "count": 2, "seconds": 1.5, "fencing_token": 1}


def _fields(kind: type[JobsError]) -> dict[str, object]:
    names = re.findall(r"\{(\w+)", kind.__doc__ or "")
    fields = {name: SAMPLE.get(name, "sample") for name in names}
    if "summary" in fields:
        fields = {"task_id": "sample", "problems": ("sample",)}
    for derived in ("what", "shown", "broken_modules"):
        fields.pop(derived, None)
    if kind is UnknownTaskError:
        fields.pop("suggestion")
    if kind is InvalidOptionError:
        fields["value"] = 1
    return {"message": "sample"} if kind is AbortTaskRunError else fields


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_error_is_drawn_in_the_tree_and_survives_pickling(kind: type[JobsError]) -> None:
    assert kind.__name__ in (errors.__doc__ or "")
    error = kind(**_fields(kind))
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert "{" not in str(error)
    assert "  " not in str(error)


def test_every_code_is_used_once() -> None:
    codes = [kind.code for kind in EVERY]
    assert sorted(set(codes)) == sorted(codes)


def test_a_payload_error_is_caught_as_such_and_as_a_data_error() -> None:
    error = PayloadTooLargeError(size=4, limit=3)
    assert isinstance(error, PayloadError)
    assert isinstance(error, DataError)
    assert not isinstance(error, OutputError)
    assert "The output is 4 bytes" in str(OutputTooLargeError(size=4, limit=3))


def test_an_unknown_task_names_its_neighbours_and_the_modules_that_are_broken() -> None:
    error = UnknownTaskError(task_id="sned", close=("send",), broken=("tasks.mail",))
    assert 'Did you mean "send"?' in str(error)
    assert "Not importable: tasks.mail." in str(error)


def test_many_problems_are_counted_and_not_all_shown() -> None:
    problems = tuple(f"payload.{number}: bad" for number in range(14))
    error = PayloadValidationError(task_id="t", problems=problems)
    assert "payload.9: bad; and 4 more" in str(error)
    assert "payload.10" not in str(error)


def test_a_long_value_is_shown_shortened() -> None:
    error = InvalidOptionError(option="queue", value="x" * 500, reason="is too long")
    assert len(str(error)) < 150


def test_a_cancellation_passes_an_except_exception() -> None:
    assert not issubclass(RunCancelled, Exception)
    assert issubclass(RunCancelled, BaseException)


def test_an_abort_takes_a_message_like_any_exception() -> None:
    assert str(AbortTaskRunError("no such user")) == "no such user"


def test_close_matches_ignore_case() -> None:
    assert close_matches("dirs", ["DIRS", "TTL"]) == ("DIRS",)
