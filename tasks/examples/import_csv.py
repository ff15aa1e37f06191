"""Import a CSV file into Postgres in batches: a real job, from the first row to the summary.

    python manage.py trigger import-csv --payload '{}' --wait

Without a path it imports the 28,000 airports of the PyPI package `airportsdata` (Mike Borsetti and
contributors, MIT licence; `pip install airportsdata`). Any other file is as good:

    >>> from tasks.examples.import_csv import import_csv
    >>> run = import_csv.trigger_and_poll({"limit": 2_000, "batch_size": 500})
    >>> run.output["inserted"], run.output["origin"].partition(" ")[0]
    (2000, 'airportsdata')
    >>> again = import_csv.trigger_and_poll({"limit": 2_000})
    >>> again.output["inserted"], again.output["unchanged"]
    (0, 2000)

What makes it safe to run again, which every retry does:

- a row is known by its natural key, so the second time it is updated or left alone, never doubled;
- memory does not grow with the file: one batch is held at a time;
- a bad row is kept aside with its line number and the reason, a failed batch is counted, and the
  import goes on; what no second attempt would mend (no such file, wrong encoding) aborts the run;
- a database in trouble (gone, full, deadlocked) is no bad batch: the attempt fails and the run is
  tried again.
"""

import csv
import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata, resources
from itertools import islice
from pathlib import Path
from typing import TextIO

from django.db import DatabaseError, OperationalError, connection, transaction
from pydantic import BaseModel, Field, field_validator

from jobs_platform import AbortTaskRunError, Context, Retry, RunCancelled, logger, task
from tasks.models import MAX_KEY_LENGTH, MAX_SOURCE_LENGTH, RejectedRow

AIRPORTS = "airports"
AIRPORTS_PACKAGE = "airportsdata"
AIRPORTS_LICENCE = "MIT"
AIRPORTS_KEY = "icao"
MOST_FAILURES_SHOWN = 20

# `IS DISTINCT FROM` leaves equal rows alone, so they come back neither as new nor as updated. Rows
# are locked in the order of their keys: two imports of one file wait for each other, no deadlock.
UPSERT = """
    INSERT INTO tasks_importedrow AS stored (source, key, data)
    SELECT %s, key, value FROM jsonb_each(%s::jsonb) ORDER BY key
    ON CONFLICT (source, key) DO UPDATE SET data = excluded.data, updated_at = now()
    WHERE stored.data IS DISTINCT FROM excluded.data
    RETURNING xmax = 0 AS is_new
"""


class ImportCsv(BaseModel):
    """Which file to import, and how."""

    path: str | None = Field(None, description="Empty: the airports of the package airportsdata.")
    source: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_SOURCE_LENGTH,
        description="Name of the data set; empty: the name of the file.",
    )
    key: str | None = Field(
        None, description="The column that tells rows apart; empty: the whole row does."
    )
    delimiter: str = Field(",", pattern=r'^[^"\r\n]$')
    encoding: str = Field("utf-8-sig", description="The default is UTF-8, with or without a BOM.")
    batch_size: int = Field(1_000, ge=1, le=50_000)
    limit: int | None = Field(None, ge=1, description="Stop after so many rows.")
    log_every: int = Field(5, ge=1, description="Batches between two log lines.")
    pause_seconds: float = Field(0, ge=0, le=60, description="After each batch, to watch it run.")

    @field_validator("encoding")
    @classmethod
    def is_text_encoding(cls, encoding: str) -> str:
        try:
            "".encode(encoding)
        except LookupError:
            raise ValueError(f"there is no text encoding {encoding!r}") from None
        return encoding


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    key: str
    data: dict[str, str]


@dataclass(frozen=True, slots=True)
class BadRow:
    line: int
    values: list[str]
    reason: str


@dataclass(slots=True)
class Summary:
    """The output of the run; each row that was read is counted as one of the six below it."""

    source: str
    origin: str
    rows_read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    replaced: int = 0
    """A later row of the same batch had the same key."""
    bad: int = 0
    failed: int = 0
    """Rows of batches that the database refused."""
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    rows_per_second: int = 0


@task(id="import-csv", retry=Retry(max_attempts=5, min_timeout="1s", max_timeout="30s"))
def import_csv(payload: ImportCsv, ctx: Context) -> Summary:
    """Import a CSV file into Postgres in batches; safe to run again."""
    path, source, key, origin = _resolve(payload)
    summary = Summary(source=source, origin=origin)
    started = time.monotonic()
    with _opened(path, payload.encoding) as file:
        rows = islice(_rows(file, payload.delimiter, key), payload.limit)
        RejectedRow.objects.filter(source=source).delete()
        logger.info(
            f"Importing {source} from {origin}",
            payload.model_dump(exclude_none=True) | {"key": key},
        )
        number = 0
        while batch := list(islice(rows, payload.batch_size)):
            number += 1
            _import_batch(batch, summary, ctx.run.id)
            _measure(summary, started)
            if number % payload.log_every == 0:
                logger.info(f"{summary.rows_read:,} rows", batch=number, **_figures(summary))
            if payload.pause_seconds and ctx.cancelled.wait(payload.pause_seconds):
                raise RunCancelled
    _measure(summary, started)
    logger.info(f"Imported {source}", batches=number, **_figures(summary))
    return summary


def _resolve(payload: ImportCsv) -> tuple[Path, str, str | None, str]:
    """Path, name, key column and origin of what is to be imported."""
    if payload.path:
        path = Path(payload.path)
        return path, payload.source or path.stem[:MAX_SOURCE_LENGTH], payload.key, str(path)
    try:
        folder = resources.files(AIRPORTS_PACKAGE)
        origin = f"{AIRPORTS_PACKAGE} {metadata.version(AIRPORTS_PACKAGE)} ({AIRPORTS_LICENCE})"
    except ModuleNotFoundError:
        raise AbortTaskRunError(
            f"The default data is not here: pip install {AIRPORTS_PACKAGE}, or pass a path."
        ) from None
    path = Path(str(folder / "airports.csv"))
    return path, payload.source or AIRPORTS, payload.key or AIRPORTS_KEY, origin


@contextmanager
def _opened(path: Path, encoding: str) -> Iterator[TextIO]:
    """The file; what another attempt would find just the same aborts the run."""
    if path.is_dir():
        raise AbortTaskRunError(f"{path} is a directory; pass the path of a file.")
    if path.exists() and not path.is_file():
        raise AbortTaskRunError(f"{path} is not a regular file.")
    try:
        file = path.open(encoding=encoding, newline="")
    except OSError as error:
        raise AbortTaskRunError(f"{path} cannot be read: {error.strerror}.") from error
    with file:
        try:
            yield file
        except UnicodeDecodeError as error:
            raise AbortTaskRunError(
                f"{path} is not {encoding}: {error.reason}. Pass its encoding; rows imported so far"
                " stay, and are found again next time."
            ) from error


def _rows(file: TextIO, delimiter: str, key: str | None) -> Iterator[Row | BadRow]:
    """The rows of a file one by one, after its header."""
    reader = csv.reader(file, delimiter=delimiter)
    header = _header(reader, file.name, key)
    position = header.index(key) if key else None
    while True:
        line = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:  # an open quote, mostly
            yield BadRow(line, [], str(error))
            continue
        if values:
            yield _row(line, values, header, position)


def _header(reader: Iterator[list[str]], name: str, key: str | None) -> list[str]:
    try:
        header = next((values for values in reader if values), None)
    except csv.Error as error:
        raise AbortTaskRunError(f"{name} is not CSV: {error}.") from error
    if header is None:
        raise AbortTaskRunError(f"{name} is empty: there is not even a header line.")
    if any("\0" in column for column in header):
        raise AbortTaskRunError(f"{name} is not text in this encoding: it has NUL characters.")
    if not all(column.strip() for column in header):
        raise AbortTaskRunError(f"{name} has no header: the first line must name every column.")
    if len(set(header)) < len(header):
        raise AbortTaskRunError(f"{name} has two columns of one name: {', '.join(header)}.")
    if key is not None and key not in header:
        raise AbortTaskRunError(
            f"{name} has no column {key!r} to use as the key; it has {', '.join(header)}."
            " Another delimiter, perhaps?"
        )
    return header


def _row(line: int, values: list[str], header: list[str], position: int | None) -> Row | BadRow:
    if len(values) != len(header):
        return BadRow(line, values, f"{len(values)} values for {len(header)} columns")
    if any("\0" in value for value in values):
        return BadRow(line, values, "a NUL character, which Postgres cannot store")
    data = dict(zip(header, values, strict=True))
    if position is None:
        return Row(line, hashlib.sha256(json.dumps(data).encode()).hexdigest(), data)
    key = values[position].strip()
    if not key:
        return BadRow(line, values, f"the key column {header[position]!r} is empty")
    if len(key) > MAX_KEY_LENGTH:
        return BadRow(line, values, f"the key is longer than {MAX_KEY_LENGTH} characters")
    return Row(line, key, data)


def _import_batch(batch: list[Row | BadRow], summary: Summary, run_id: str) -> None:
    """Store one batch, in one transaction. A batch that the database refuses is counted."""
    summary.rows_read += len(batch)
    good = [row for row in batch if isinstance(row, Row)]
    bad = [row for row in batch if isinstance(row, BadRow)]
    # Postgres refuses to touch a row twice in one statement; as in a file, the last one wins.
    latest = {row.key: row.data for row in good}
    _keep_aside(bad, summary.source, run_id)
    summary.bad += len(bad)
    try:
        with transaction.atomic():
            inserted, updated = _upsert(latest, summary.source)
    except OperationalError:
        raise
    except DatabaseError as error:
        _note_failure(good, error, summary)
        return
    summary.inserted += inserted
    summary.updated += updated
    summary.unchanged += len(latest) - inserted - updated
    summary.replaced += len(good) - len(latest)


def _upsert(rows: dict[str, dict[str, str]], source: str) -> tuple[int, int]:
    """How many rows were inserted, and how many updated."""
    with connection.cursor() as cursor:
        cursor.execute(UPSERT, [source, json.dumps(rows, ensure_ascii=False)])
        written = [is_new for (is_new,) in cursor.fetchall()]
    return written.count(True), written.count(False)


def _keep_aside(bad: list[BadRow], source: str, run_id: str) -> None:
    RejectedRow.objects.bulk_create(
        [
            RejectedRow(
                source=source,
                line=row.line,
                values=[value.replace("\0", "\ufffd") for value in row.values],
                reason=row.reason,
                run_id=run_id,
            )
            for row in bad
        ],
        update_conflicts=True,
        unique_fields=["source", "line"],
        update_fields=["values", "reason", "run_id", "rejected_at"],
    )


def _note_failure(rows: list[Row], error: DatabaseError, summary: Summary) -> None:
    summary.failed += len(rows)
    reason = str(error).partition("\n")[0]
    lines = f"lines {rows[0].line} to {rows[-1].line}"
    logger.error(f"A batch failed, the import goes on: {lines}", rows=len(rows), error=reason)
    if len(summary.failures) < MOST_FAILURES_SHOWN:
        summary.failures.append(f"{lines}: {reason}")


def _measure(summary: Summary, started: float) -> None:
    seconds = time.monotonic() - started
    summary.seconds = round(seconds, 3)
    summary.rows_per_second = round(summary.rows_read / seconds) if seconds else 0


def _figures(summary: Summary) -> dict[str, object]:
    """What a log line tells of the progress."""
    shown = ("rows_read", "inserted", "updated", "unchanged", "bad", "failed", "rows_per_second")
    return {name: getattr(summary, name) for name in shown}
