"""The guard: a small shell that outlives a killed owner just long enough to end its children.

It waits on a pipe whose other end only the owner holds. A line says which process groups there are;
end of file means that the owner has gone, and whoever the last line names is stopped.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from contextlib import suppress

_FOLLOWERS_SECONDS = 2.0
# $1 and $2: patience in tenths of a second. A follower is a child that has made a group of its own,
# as a worker's keeper: it ends by itself once its parent has, and is only helped.
_SCRIPT = """
groups= followers=
while read -r line; do groups=$line; done
[ -n "$groups" ] || exit 0
for group in $groups; do
    for child in $(cat /proc/"$group"/task/*/children); do
        kill -s 0 -- "-$child" && followers="$followers $child"
    done
done
for group in $groups; do kill -s TERM "$group"; done
gone() {
    for group in $1; do kill -s 0 -- "-$group" && return 1; done
    return 0
}
end() {
    tenths=0
    until gone "$1" || [ "$tenths" -ge "$2" ]; do
        sleep 0.1
        tenths=$((tenths + 1))
    done
    for group in $1; do kill -s KILL -- "-$group"; done
}
end "$groups" "$1"
end "$followers" "$2"
"""


class Guard:
    """Stops the named process groups when this process dies without dismissing it."""

    def __init__(self, *, patience_seconds: float) -> None:
        self._process = subprocess.Popen(
            [
                "/bin/sh",
                "-c",
                _SCRIPT,
                "guard",
                *map(_tenths, (patience_seconds, _FOLLOWERS_SECONDS)),
            ],
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


def _tenths(seconds: float) -> str:
    return str(round(seconds * 10))
