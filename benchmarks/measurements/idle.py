"""What a stack does that has nothing to do: queries a second, process by process."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg

from benchmarks.arena import Scene
from benchmarks.child import pause
from benchmarks.contenders import OURS
from benchmarks.cpu import PARTS
from benchmarks.findings import Section
from benchmarks.plan import Plan, Size

SECONDS = Size(20, 10, 2)
MOST_PER_SECOND = 2
_STATEMENT = re.compile(r"\[(\d+)\] LOG:  (?:statement|execute \S+): (.*)")
_FRAME = re.compile(r"(BEGIN|COMMIT|ROLLBACK)\b", re.IGNORECASE)


def measure(plan: Plan) -> Section:
    section = Section("An idle stack")
    for contender in plan.repeated(1).rounds([OURS], section):
        with plan.scene(contender, section) as scene:
            scene.warm_up()
            pause(2.0)
            _watch(plan, scene, section)
    busiest = section.find("busiest process")
    target = "the busiest process makes at most 2 queries a second"
    section.hold(target, busiest.value if busiest else None, at_most=MOST_PER_SECOND)
    return section


def _watch(plan: Plan, scene: Scene, section: Section) -> None:
    seconds, log = plan.number(SECONDS), plan.arena.stack.postgres.log
    before = scene.cpu()
    with psycopg.connect(scene.database_url, autocommit=True) as connection:
        backends = _backends(connection)
        with _all_logged(connection):
            position = log.stat().st_size
            pause(seconds)
            counts = _counted(log, position)
    after = scene.cpu()
    per_process: Counter[int] = Counter()
    for backend, (process, name) in sorted(backends.items(), key=lambda item: item[1]):
        per_process[process] += counts[backend]
        section.add(name, [counts[backend] / seconds], "queries/s", note=f"process {process}")
    section.add("busiest process", [max(per_process.values()) / seconds], "queries/s")
    for part in PARTS:
        share = (after[part] - before[part]) / seconds * 100
        section.add(f"CPU of {part}", [share], "% of a core")


def _backends(connection: psycopg.Connection) -> dict[int, tuple[int, str]]:
    """For each backend the process that it serves, and how the connection calls itself."""
    processes = {
        connected.laddr.port: connected.pid or 0
        for connected in psutil.net_connections("tcp")
        if connected.laddr
    }
    rows = connection.execute(
        "SELECT pid, client_port, application_name FROM pg_stat_activity "
        "WHERE datname = current_database() AND client_port > 0 AND pid <> pg_backend_pid()"
    )
    return {
        backend: (processes.get(port, 0), name.rstrip(" 0123456789") or "Django")
        for backend, port, name in rows
    }


@contextmanager
def _all_logged(connection: psycopg.Connection) -> Iterator[None]:
    connection.execute("ALTER SYSTEM SET log_statement = 'all'")
    connection.execute("SELECT pg_reload_conf()")
    pause(0.5)
    try:
        yield
    finally:
        connection.execute("ALTER SYSTEM RESET log_statement")
        connection.execute("SELECT pg_reload_conf()")


def _counted(log: Path, position: int) -> Counter[int]:
    """Statements by backend, without those that only open and close a transaction."""
    with log.open("rb") as file:
        file.seek(position)
        text = file.read().decode(errors="replace")
    return Counter(
        int(found[1]) for found in _STATEMENT.finditer(text) if not _FRAME.match(found[2])
    )
