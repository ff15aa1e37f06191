"""Values as people read them."""

from __future__ import annotations

from uuid import UUID

import pytest

from dashboard.formats import duration_text, pairs, pretty_json, read_id, size_text
from jobs_platform.domain.ids import encode, new_uuid


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.038, "38 ms"),
        (0.9999, "1.0 s"),
        (4.24, "4.2 s"),
        (59.96, "1 min"),
        (200, "3 min 20 s"),
        (3_600, "1 h"),
        (7_500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
        (-1.5, "-1.5 s"),
    ],
)
def test_duration(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (65_536, "64 KB"), (13_002_342, "12.4 MB")]
)
def test_size(size, text):
    assert size_text(size) == text


def test_json_is_indented_and_keeps_its_letters():
    assert pretty_json('{"name": "Zoë"}') == '{\n  "name": "Zoë"\n}'


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "9" * 10_000])
def test_what_is_no_readable_json_stays(text):
    assert pretty_json(text) == text


def test_json_that_would_swell_stays():
    text = "[" + ",".join(["[" * 500 + "]" * 500] * 100) + "]"
    assert pretty_json(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, []),
        ("{}", []),
        ('{"a": "x", "b": [1]}', [("a", "x"), ("b", "[1]")]),
        ("[1]", [("", "[1]")]),
        ('{"a": "cu', [("", '{"a": "cu')]),
    ],
)
def test_pairs(text, expected):
    assert pairs(text) == expected


def test_id_is_read_in_either_form():
    key = new_uuid()
    assert read_id("run", f" {encode('run', key).upper()} ") == key
    assert read_id("run", str(key)) == key


@pytest.mark.parametrize("text", ["", "run_", "run_!", "batch_" + "0" * 26, "x" * 99])
def test_what_is_no_id_is_none(text):
    assert read_id("run", text) is None


def test_id_of_zeros_is_one():
    assert read_id("run", "run_" + "0" * 26) == UUID(int=0)
