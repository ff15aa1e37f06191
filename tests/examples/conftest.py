"""A worker in this process for every example."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.executing import InProcessWorker, worker_in_process


@pytest.fixture
def worker(transactional_db: None) -> Iterator[InProcessWorker]:
    with worker_in_process() as worker:
        yield worker


@pytest.fixture
def execute_until_idle(worker: InProcessWorker) -> Callable[..., None]:
    return worker.execute_until_idle
