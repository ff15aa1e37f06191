"""Who is compared: how each is started, with two workers, as its documentation says.

A contender's own module is imported only in its own processes (`producing.py` and its workers), so
that one which is not installed hurts nobody.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field

CONCURRENCY = 2
_PREFORK = ("--pool", "prefork", "--concurrency", str(CONCURRENCY), "--loglevel", "WARNING")


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to execute jobs."""

    name: str
    """Of its module, and on the command line."""
    title: str
    workers: tuple[tuple[str, ...], ...]
    """Arguments of Python, one tuple for each process."""
    requires: str = "celery"
    """A package that must be installed."""
    stores: bool = True
    """Whether it needs a database."""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def is_installed(self) -> bool:
        return importlib.util.find_spec(self.requires) is not None


def _celery(name: str, title: str, *, requires: str = "celery", stores: bool = False) -> Contender:
    module = f"benchmarks.contenders.{name}"
    return Contender(
        name,
        title,
        workers=(("-m", "celery", "--app", module, "worker", *_PREFORK),),
        requires=requires,
        stores=stores,
        environment={"DJANGO_SETTINGS_MODULE": f"{module}_settings"} if stores else {},
    )


OURS = Contender(
    "jobs_platform",
    "Jobs Platform",
    workers=(
        ("manage.py", "worker", "--concurrency", str(CONCURRENCY)),
        ("manage.py", "beat"),
    ),
    environment={"DJANGO_SETTINGS_MODULE": "jobs_platform.settings"},
)
CELERY = _celery("celery", "Celery")
TUNED = _celery("celery_tuned", "Celery, tuned")
RESULTS = _celery(
    "celery_results", "Celery + results", requires="django_celery_results", stores=True
)
PROCRASTINATE = Contender(
    "procrastinate",
    "Procrastinate",
    workers=(("-m", "procrastinate", "--app", "benchmarks.contenders.procrastinate.app", "worker"),)
    * CONCURRENCY,
    requires="procrastinate",
)
PGQUEUER = Contender(
    "pgqueuer",
    "pgqueuer",
    workers=(("-m", "benchmarks.contenders.pgqueuer"),) * CONCURRENCY,
    requires="pgqueuer",
)
ALL = (OURS, CELERY, TUNED, RESULTS, PROCRASTINATE, PGQUEUER)
