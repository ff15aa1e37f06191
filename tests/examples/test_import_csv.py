"""`import-csv` on real files and a real Postgres."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from jobs_platform import PayloadValidationError, Run, runs
from tasks.examples.import_csv import AIRPORTS_LICENCE, AIRPORTS_PACKAGE, import_csv
from tasks.models import MAX_KEY_LENGTH, ImportedRow, RejectedRow
from tests.executing import InProcessWorker
from tests.waiting import wait_until

Import = Callable[..., Run]
COUNTS = ("inserted", "updated", "unchanged", "replaced", "bad", "failed")
PEOPLE = "id,name,city\n1,Ada,London\n2,Grace,New York\n3,Edsger,Rotterdam\n"


@pytest.fixture
def import_file(worker: InProcessWorker) -> Import:
    """Triggers an import, executes it to its end and returns the run."""

    def run(payload: dict[str, Any]) -> Run:
        handle = import_csv.trigger(payload)
        worker.execute_until_idle(hurry=True, timeout=60)
        return runs.retrieve(handle)

    return run


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return written(tmp_path / "people.csv", PEOPLE)


def test_all_airports_are_imported_and_found_again(import_file: Import) -> None:
    first = import_file({"batch_size": 4_000, "log_every": 2})
    assert first.is_success, first.error
    assert first.output["rows_read"] == first.output["inserted"] > 28_000
    assert first.output["origin"].startswith(AIRPORTS_PACKAGE)
    assert AIRPORTS_LICENCE in first.output["origin"]
    heathrow = ImportedRow.objects.get(source="airports", key="EGLL")
    assert heathrow.data["name"] == "London Heathrow Airport"

    again = import_file({"batch_size": 7_000})
    assert again.output["unchanged"] == first.output["rows_read"] == ImportedRow.objects.count()
    assert again.output["inserted"] == again.output["updated"] == 0


def test_the_licence_that_it_names_is_that_of_the_package() -> None:
    package = metadata(AIRPORTS_PACKAGE)
    assert AIRPORTS_LICENCE in (package["License-Expression"], package["License"])


def test_changed_rows_are_updated_and_new_ones_inserted(import_file: Import, people: Path) -> None:
    assert counts(import_file({"path": str(people), "key": "id"})) == {"inserted": 3}
    written(people, PEOPLE.replace("London", "Cambridge") + "4,Barbara,Boston\n")
    again = import_file({"path": str(people), "key": "id"})
    assert counts(again) == {"inserted": 1, "updated": 1, "unchanged": 2}
    assert ImportedRow.objects.get(source="people", key="1").data["city"] == "Cambridge"
    changed, kept = (ImportedRow.objects.get(key=key) for key in "12")
    assert changed.updated_at > changed.imported_at
    assert kept.updated_at == kept.imported_at


def test_without_a_key_column_the_whole_row_is_the_key(import_file: Import, people: Path) -> None:
    assert counts(import_file({"path": str(people)})) == {"inserted": 3}
    written(people, PEOPLE + "3,Edsger,Rotterdam\n3,Edsger,Nuenen\n")
    again = import_file({"path": str(people)})
    assert counts(again) == {"inserted": 1, "unchanged": 3, "replaced": 1}


def test_data_sets_are_told_apart_by_their_names(import_file: Import, people: Path) -> None:
    import_file({"path": str(people), "key": "id"})
    again = import_file({"path": str(people), "key": "id", "source": "colleagues"})
    assert counts(again) == {"inserted": 3}


def test_the_last_of_equal_keys_wins(import_file: Import, people: Path) -> None:
    written(people, PEOPLE + "1,Ada,Ockham\n")
    assert counts(import_file({"path": str(people), "key": "id"})) == {"inserted": 3, "replaced": 1}
    assert ImportedRow.objects.get(key="1").data["city"] == "Ockham"


def test_bad_rows_are_kept_aside_with_line_and_reason(import_file: Import, tmp_path: Path) -> None:
    long = "k" * (MAX_KEY_LENGTH + 1)
    rows = f'id,name\n1,"two\nlines"\n\n2\n3,x,y\n ,nobody\n4,a\0b\n{long},x\n5,fine\n'
    path = written(tmp_path / "odd.csv", rows)
    run = import_file({"path": str(path), "key": "id"})
    assert counts(run) == {"inserted": 2, "bad": 5}
    rejected = RejectedRow.objects.order_by("line")
    assert [(row.line, row.values, row.reason) for row in rejected] == [
        (5, ["2"], "1 values for 2 columns"),
        (6, ["3", "x", "y"], "3 values for 2 columns"),
        (7, [" ", "nobody"], "the key column 'id' is empty"),
        (8, ["4", "a\ufffdb"], "a NUL character, which Postgres cannot store"),
        (9, [long, "x"], f"the key is longer than {MAX_KEY_LENGTH} characters"),
    ]
    assert {row.run_id for row in rejected} == {run.id}


def test_rejected_rows_are_those_of_the_latest_import(import_file: Import, people: Path) -> None:
    written(people, PEOPLE + "4\n")
    import_file({"path": str(people), "key": "id"})
    written(people, PEOPLE + "4,Barbara,Boston\n5\n")
    import_file({"path": str(people), "key": "id"})
    assert list(RejectedRow.objects.values_list("line", flat=True)) == [6]


def test_a_field_beyond_all_bounds_is_one_bad_row(import_file: Import, tmp_path: Path) -> None:
    """What an open quote does: everything behind it belongs to one field."""
    path = written(tmp_path / "quote.csv", 'id,name\n1,"open\n' + "2,swallowed\n" * 20_000)
    run = import_file({"path": str(path), "key": "id", "limit": 1})
    assert counts(run) == {"bad": 1}
    assert "field larger than field limit" in RejectedRow.objects.get().reason


def test_a_batch_that_the_database_refuses_is_counted(import_file: Import, people: Path) -> None:
    written(people, PEOPLE + "4,Barbara,Boston\n5,Tony,Colombo\n")
    refuse = "ALTER TABLE tasks_importedrow ADD CONSTRAINT no_grace CHECK (key <> '2')"
    with connection.cursor() as cursor:
        cursor.execute(refuse)
    try:
        run = import_file({"path": str(people), "key": "id", "batch_size": 2})
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE tasks_importedrow DROP CONSTRAINT no_grace")
    assert run.is_success
    assert counts(run) == {"inserted": 3, "failed": 2}
    assert run.output["failures"][0].startswith("lines 2 to 3: new row for relation")
    assert run.attempt_number == 1
    assert [line.level for line in runs.log_lines(run)].count("error") == 1
    assert counts(import_file({"path": str(people), "key": "id"})) == {
        "inserted": 2,
        "unchanged": 3,
    }


def test_a_lost_connection_is_retried_and_nothing_is_doubled(
    worker: InProcessWorker, people: Path
) -> None:
    handle = import_csv.trigger(
        {"path": str(people), "key": "id", "batch_size": 1, "pause_seconds": 0.3}
    )
    with worker.in_background():
        wait_until(lambda: ImportedRow.objects.exists(), message="the first row")
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                "current_database() AND pid <> pg_backend_pid() AND application_name = ''"
            )
        run = wait_until(lambda: (found := runs.retrieve(handle)).is_completed and found)
    assert run.is_success, run.error
    assert [attempt.status for attempt in run.attempts] == ["FAILED", "COMPLETED"]
    assert run.output["unchanged"] >= 1
    assert ImportedRow.objects.count() == 3


def test_progress_is_logged_every_few_batches(import_file: Import, people: Path) -> None:
    run = import_file({"path": str(people), "key": "id", "batch_size": 1, "log_every": 2})
    begun, progress, done = runs.log_lines(run)
    assert begun.fields["path"] == str(people)
    assert progress.message == "2 rows"
    assert progress.fields["inserted"] == 2
    assert progress.fields["rows_per_second"] > 0
    assert done.fields["batches"] == 3


def test_a_pause_ends_with_the_cancellation_of_the_run(
    worker: InProcessWorker, people: Path
) -> None:
    handle = import_csv.trigger({"path": str(people), "batch_size": 1, "pause_seconds": 60})
    with worker.in_background():
        wait_until(lambda: ImportedRow.objects.exists(), message="the first row")
        runs.cancel(handle)
        wait_until(lambda: runs.retrieve(handle).attempts, message="the attempt to stop")
    assert runs.retrieve(handle).is_canceled
    assert ImportedRow.objects.count() == 1


def test_memory_does_not_grow_with_the_file(tmp_path: Path, transactional_db: None) -> None:
    peaks = []
    for rows in (1_000, 10_000):
        path = tmp_path / f"{rows}.csv"
        with path.open("w") as file:
            file.write("id,name\n")
            file.writelines(f"{number},somebody called {number}\n" for number in range(rows))
        tracemalloc.start()
        import_csv.local({"path": str(path), "key": "id", "batch_size": 250})
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", {}, "is empty"),
        (b"\n\n", {}, "is empty"),
        (b"id,,city\n1,2,3\n", {}, "has no header"),
        (b"id,id\n1,2\n", {}, "two columns of one name"),
        (PEOPLE.encode(), {"key": "icao"}, "has no column 'icao'"),
        (PEOPLE.encode(), {"key": "id", "delimiter": ";"}, "it has id,name,city."),
        ("id,name\n1,Jos\xe9\n".encode("latin-1"), {}, "is not utf-8-sig"),
        ("id,name\n".encode("utf-16-le"), {}, "has NUL characters"),
        ("id,name\n1,x".encode("utf-16"), {}, "is not utf-8-sig"),
    ],
)
def test_a_file_that_cannot_be_imported_fails_at_once(
    import_file: Import, tmp_path: Path, content: bytes, options: dict[str, Any], message: str
) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(content)
    assert_gave_up(import_file({"path": str(path), **options}), message)


def test_what_is_no_readable_file_fails_at_once(import_file: Import, tmp_path: Path) -> None:
    assert_gave_up(import_file({"path": str(tmp_path)}), "is a directory")
    missing = import_file({"path": str(tmp_path / "nowhere.csv")})
    assert_gave_up(missing, "cannot be read: No such file or directory")
    assert_gave_up(import_file({"path": "/dev/null"}), "is not a regular file")


def test_an_unreadable_file_fails_at_once(
    import_file: Import, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The suite may run as root, whom no permission stops."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert_gave_up(import_file({"path": str(people)}), "cannot be read: Permission denied")


def test_without_the_package_the_default_says_what_to_do(
    import_file: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.examples.import_csv.AIRPORTS_PACKAGE", "no_such_package")
    assert_gave_up(import_file({}), "pip install no_such_package")


def test_other_encodings_and_delimiters_are_read(import_file: Import, tmp_path: Path) -> None:
    path = tmp_path / "leute.csv"
    path.write_bytes("id;name\n1;Jürgen\n".encode("latin-1"))
    run = import_file(
        {"path": str(path), "key": "id", "delimiter": ";", "encoding": "latin-1", "limit": 10}
    )
    assert run.is_success
    assert ImportedRow.objects.get().data == {"id": "1", "name": "Jürgen"}


def test_a_byte_order_mark_is_no_part_of_the_first_column(
    import_file: Import, tmp_path: Path
) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes("id,name\n1,Ada\n".encode("utf-8-sig"))
    assert counts(import_file({"path": str(path), "key": "id"})) == {"inserted": 1}


@pytest.mark.parametrize(
    "payload",
    [
        {"encoding": "utf-9"},
        {"encoding": "rot13"},
        {"delimiter": ""},
        {"delimiter": "\n"},
        {"delimiter": ";;"},
        {"batch_size": 0},
        {"limit": -1},
    ],
)
def test_a_payload_that_makes_no_sense_is_refused_at_the_trigger(
    db: None, payload: dict[str, Any]
) -> None:
    with pytest.raises(PayloadValidationError):
        import_csv.trigger(payload)


def assert_gave_up(run: Run, message: str) -> None:
    assert run.status == "FAILED"
    assert run.attempt_number == 1
    assert run.error is not None
    assert message in run.error.message


def counts(run: Run) -> dict[str, int]:
    """What became of the rows, zeros left out; together they are all that were read."""
    assert run.output, run.error
    found = {name: run.output[name] for name in COUNTS if run.output[name]}
    assert sum(found.values()) == run.output["rows_read"]
    return found


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path
