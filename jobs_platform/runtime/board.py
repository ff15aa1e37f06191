"""A shared page of memory in which a worker's processes see each other's state without asking.

The slots (pool children, pool threads) write what they execute, the keeper writes how long the
lease lasts. A file under the hood, so that the keeper, which is no child of the pool, can open it.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from jobs_platform.runtime.endings import exists

_HEADER = struct.Struct("<dqqd")  # lease_until, is_stopping, number of slots, given back at
_SLOT = struct.Struct("<qqqqqqddq16s")
# sequence, slot id, process id, claim number, runs in the claim, runs started, since, maximum
# duration, memory limit, current run
_GRACEFULLY, _AT_ONCE = 1, 2
_HEADER_SIZE = 64
_SLOT_SIZE = 128
_NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class SlotState:
    """What one slot is doing; times are of the monotonic clock, which all processes share."""

    index: int
    slot: int
    process_id: int
    claim_number: int
    claimed: int
    """Runs in its claim."""
    started: int
    """How many of them it has started."""
    since: float
    """When the current one was started; 0 when none is."""
    run_id: UUID | None
    max_duration: float = 0.0
    """Seconds that the current one may take; 0 without a limit."""
    memory_limit: int = 0
    """Bytes that it may use; 0 without a limit."""


class Board:
    """The page. One writer for each slot, one for the header; readers may look at any time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        self.capacity = _HEADER.unpack_from(self._memory)[2]

    @classmethod
    def create(cls, *, capacity: int, lease_until: float) -> Board:
        """A new page for `capacity` slots."""
        descriptor, name = tempfile.mkstemp(prefix="jobs-board-")
        with os.fdopen(descriptor, "r+b") as file:
            file.truncate(_HEADER_SIZE + capacity * _SLOT_SIZE)
            file.write(_HEADER.pack(lease_until, 0, capacity, 0.0))
        return cls(Path(name))

    @property
    def lease_until(self) -> float:
        """Until when this worker's attempts are live, on the monotonic clock."""
        return float(struct.unpack_from("<d", self._memory, 0)[0])

    @lease_until.setter
    def lease_until(self, value: float) -> None:
        struct.pack_into("<d", self._memory, 0, value)

    @property
    def given_back_at(self) -> float:
        """When runs last went back to their old place in the queue, on the monotonic clock."""
        return float(struct.unpack_from("<d", self._memory, 24)[0])

    @given_back_at.setter
    def given_back_at(self, value: float) -> None:
        struct.pack_into("<d", self._memory, 24, value)

    @property
    def is_stopping(self) -> bool:
        """Whether the worker shuts down: nothing more is claimed."""
        return bool(struct.unpack_from("<q", self._memory, 8)[0])

    @property
    def is_stopping_at_once(self) -> bool:
        """Whether running work is not waited for either."""
        return bool(struct.unpack_from("<q", self._memory, 8)[0] == _AT_ONCE)

    def stop(self, *, at_once: bool = False) -> None:
        struct.pack_into("<q", self._memory, 8, _AT_ONCE if at_once else _GRACEFULLY)

    def write(self, state: SlotState) -> None:
        """Say what a slot is doing. The sequence is odd while the rest is being written."""
        offset = _HEADER_SIZE + state.index * _SLOT_SIZE
        sequence = struct.unpack_from("<q", self._memory, offset)[0] | 1
        struct.pack_into("<q", self._memory, offset, sequence)
        run_id = (state.run_id or _NOBODY).bytes
        _SLOT.pack_into(
            self._memory,
            offset,
            sequence,
            state.slot,
            state.process_id,
            state.claim_number,
            state.claimed,
            state.started,
            state.since,
            state.max_duration,
            state.memory_limit,
            run_id,
        )
        struct.pack_into("<q", self._memory, offset, sequence + 1)

    def read(self, index: int) -> SlotState | None:
        """What a slot is doing; None when nobody has it."""
        offset = _HEADER_SIZE + index * _SLOT_SIZE
        while True:
            fields = _SLOT.unpack_from(self._memory, offset)
            if (
                fields[0] % 2 == 0
                and struct.unpack_from("<q", self._memory, offset)[0] == fields[0]
            ):
                break
            if not exists(fields[2]) and _SLOT.unpack_from(self._memory, offset) == fields:
                break  # its writer died in the middle
        _, slot, process_id, number, claimed, started, since, max_duration, limit, run_id = fields
        if not slot or not process_id:  # or the first writer of this place has just begun
            return None
        current = UUID(bytes=run_id)
        return SlotState(
            index,
            slot,
            process_id,
            number,
            claimed,
            started,
            since,
            None if current == _NOBODY else current,
            max_duration,
            limit,
        )

    def states(self) -> list[SlotState]:
        """All slots that somebody has."""
        return [state for index in range(self.capacity) if (state := self.read(index))]

    def free(self, index: int) -> None:
        """Nobody has this slot any more."""
        offset = _HEADER_SIZE + index * _SLOT_SIZE
        self._memory[offset : offset + _SLOT_SIZE] = bytes(_SLOT_SIZE)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
