"""Committed rows and a worker in this process, for every example."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tasks.models import ImportedRow, Invoice, RejectedRow
from tests.executing import InProcessWorker, worker_in_process
from tests.world import transactional_db as committed_runs  # noqa: F401


@pytest.fixture
def transactional_db(committed_runs: None) -> Iterator[None]:  # noqa: F811
    yield
    for model in (ImportedRow, Invoice, RejectedRow):
        model.objects.all().delete()


@pytest.fixture
def worker(transactional_db: None) -> Iterator[InProcessWorker]:
    with worker_in_process() as worker:
        yield worker
