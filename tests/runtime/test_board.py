"""A page of memory that several processes share: what is read is what one of them wrote, whole."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from jobs_platform.runtime import board as board_module
from jobs_platform.runtime.board import Board, SlotState

PROJECT = Path(__file__).parents[2]
_WRITER = """
import os, sys, uuid
from pathlib import Path
from jobs_platform.runtime.board import Board, SlotState
board, me = Board(Path(sys.argv[1])), os.getpid()
print("ready", flush=True)
for n in range(1, 10**9):
    board.write(SlotState(0, n, me, n, n, n, float(n), uuid.UUID(int=n)))
"""


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board.create(capacity=3, lease_until=5.0)
    yield made
    made.remove()


def state(index: int = 1, **changed: object) -> SlotState:
    values = {
        "slot": 7,
        "process_id": os.getpid(),
        "claim_number": 3,
        "claimed": 5,
        "started": 2,
        "since": 1.5,
        "run_id": UUID(int=9),
        "max_duration": 2.5,
        "memory_limit": 2**40,
    }
    return SlotState(index=index, **{**values, **changed})


def test_new_board_is_empty(board: Board) -> None:
    assert (board.capacity, board.states(), board.is_stopping) == (3, [], False)
    assert board.lease_until == 5.0


def test_state_is_read_as_it_was_written(board: Board) -> None:
    board.write(state())
    board.write(state(2, run_id=None, since=0.0))
    assert board.states() == [state(), state(2, run_id=None, since=0.0)]


def test_another_process_sees_the_same_page(board: Board) -> None:
    other = Board(board.path)
    board.write(state())
    other.lease_until = 8.0
    other.stop()
    assert other.states() == [state()]
    assert (board.lease_until, board.is_stopping) == (8.0, True)


def test_freed_place_belongs_to_nobody(board: Board) -> None:
    board.write(state())
    board.free(1)
    assert board.states() == []
    board.write(state(started=3))
    assert board.read(1) == state(started=3)


def test_reader_never_sees_half_of_a_state(board: Board) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(board.path)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert writer.stdout.readline() == "ready\n"
        seen: set[int] = set()
        until = time.monotonic() + 20
        while len(seen) < 2_000 and time.monotonic() < until:
            found = board.read(0)
            if found is None:
                continue
            numbers = {
                found.slot,
                found.claim_number,
                found.claimed,
                found.started,
                int(found.since),
                found.run_id.int,
            }
            assert len(numbers) == 1
            seen |= numbers
        assert len(seen) >= 100
    finally:
        writer.kill()
        writer.communicate()


def test_state_of_a_writer_that_died_in_the_middle_can_be_read(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    board.write(state(process_id=dead.pid))
    offset = board_module._HEADER_SIZE + board_module._SLOT_SIZE
    board_module.struct.pack_into("<q", board._memory, offset, 3)
    assert board.read(1) == state(process_id=dead.pid)
    board.write(state(started=4))
    assert board.read(1) == state(started=4)
