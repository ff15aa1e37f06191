"""The guard: a small shell that outlives a killed owner just long enough to end its children.

It waits on a pipe whose other end only the owner holds. A line says which process groups there are;
end of file means that the owner has gone, and whoever the last line names is stopped.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from contextlib import suppress

_SCRIPT = """
groups=
while read -r line; do groups=$line; done
[ -n "$groups" ] || exit 0
for group in $groups; do kill -s TERM "$group"; done
tenths=0
while [ $tenths -lt "$1" ]; do
    alive=
    for group in $groups; do kill -s 0 -- "-$group" && alive=yes; done
    [ -n "$alive" ] || exit 0
    sleep 0.1
    tenths=$((tenths + 1))
done
for group in $groups; do kill -s KILL -- "-$group"; done
"""


class Guard:
    """Stops the named process groups when this process dies without dismissing it."""

    def __init__(self, *, patience_seconds: float) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "guard", str(round(patience_seconds * 10))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def watch(self, groups: Iterable[int]) -> None:
        """From now on these, and no others, are to be stopped."""
        with suppress(OSError):  # somebody killed the guard; the children are still ours to stop
            if self._process.stdin is not None:
                self._process.stdin.write(f"{' '.join(map(str, groups))}\n".encode())
                self._process.stdin.flush()

    def dismiss(self) -> None:
        """All children are stopped: the guard goes without doing anything."""
        self.watch(())
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        self._process.wait()
