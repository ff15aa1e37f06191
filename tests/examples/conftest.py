"""Committed rows, and a worker in this process with the clock beside it, for every example."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.examples import clean_cancellation
from tasks.models import ImportedRow, Invoice, RejectedRow
from tests.examples.clocked import ClockedWorker, clocked_worker
from tests.world import transactional_db as committed_runs  # noqa: F401


@pytest.fixture
def transactional_db(committed_runs: None) -> Iterator[None]:  # noqa: F811
    yield
    for model in (ImportedRow, Invoice, RejectedRow):
        model.objects.all().delete()


@pytest.fixture(autouse=True)
def _exports_are_the_tests_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean_cancellation, "FOLDER", tmp_path)


@pytest.fixture
def worker(transactional_db: None) -> Iterator[ClockedWorker]:
    with clocked_worker() as worker:
        yield worker
