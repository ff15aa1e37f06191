"""Workers, beats and what they hold, compared with what waits in Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from django.db.models import Count, Min, Q
from django.db.models.functions import Now

from jobs_platform.delivery.beat import POOL as BEAT
from jobs_platform.domain.configuration import DEFAULT_WORKER_QUEUE
from jobs_platform.domain.durations import to_text
from jobs_platform.domain.ids import encode
from jobs_platform.engine import caller
from jobs_platform.engine.hook_call import MAX_TRIES
from jobs_platform.management.checkup.finding import (
    Finding,
    listed,
    ok,
    problem,
    several,
    warn,
)
from jobs_platform.models import Claim, HookCall, Run, TaskDefinition, Worker
from jobs_platform.sdk import ports

LONG_WAIT_SECONDS = 5.0
PREFORK = "prefork"
_RECOVERY_SECONDS = 10
_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Waiting:
    """Claimable runs of one worker queue."""

    worker_queue: str
    count: int
    seconds: float
    """How long the first of them has been due."""


@dataclass
class Fleet:
    """One environment's workers and queue as they stand now."""

    environment_id: int
    workers: list[Worker] = field(init=False)
    beats: int = field(init=False)

    def __post_init__(self) -> None:
        live = Worker.objects.filter(
            environment_id=self.environment_id, stopped_at__isnull=True, lease_until__gt=Now()
        )
        self.workers = list(live.exclude(pool=BEAT).order_by("id"))
        self.beats = live.filter(pool=BEAT).count()

    @property
    def served(self) -> set[str]:
        """Worker queues that a live worker serves."""
        return {name for worker in self.workers for name in worker.worker_queues}

    @cached_property
    def waiting(self) -> list[Waiting]:
        due = Run.objects.filter(
            environment_id=self.environment_id, is_claimable=True, run_at__lte=Now()
        )
        rows = (
            due.order_by()
            .values("worker_queue")
            .annotate(count=Count("id"), first=Min("run_at"), now=Now())
            .values_list("worker_queue", "count", "first", "now")
        )
        return [
            Waiting(name, count, (now - first).total_seconds()) for name, count, first, now in rows
        ]

    def slots(self, worker_queue: str) -> tuple[int, int]:
        """How many slots serve it, and how many of those hold a claim."""
        serving = [worker for worker in self.workers if worker_queue in worker.worker_queues]
        claims = Claim.objects.filter(worker__in=[worker.pk for worker in serving])
        busy = claims.values_list("worker_id", "slot").distinct().count()
        return sum(worker.slots for worker in serving), busy


def check_fleet(fleet: Fleet) -> Iterator[Finding]:
    """Everything about processes and what they hold."""
    yield _check_workers(fleet)
    yield _check_beats(fleet)
    yield from _check_waiting(fleet)
    yield from _check_memory(fleet)
    yield _check_lost_claims(fleet)
    yield _check_attempts(fleet)
    yield _check_hook_calls(fleet)


def _check_workers(fleet: Fleet) -> Finding:
    if not fleet.workers:
        return warn("workers", "No worker is live.", mend="Start one: `manage.py worker`.")
    slots = sum(worker.slots for worker in fleet.workers)
    workers = several(len(fleet.workers), "worker is", "workers are")
    return ok("workers", f"{workers} live, with {several(slots, 'slot')}.")


def _check_beats(fleet: Fleet) -> Finding:
    if fleet.beats:
        return ok("beat", f"{several(fleet.beats, 'beat ticks', 'beats tick')}.")
    what = "No beat ticks: schedules, retries and runs of lost workers wait for ever."
    return problem("beat", what, mend="Start one: `manage.py beat` (several do no harm).")


def _check_waiting(fleet: Fleet) -> Iterator[Finding]:
    if not fleet.waiting:
        yield ok("waiting", "No run waits for a worker.")
    for waiting in fleet.waiting:
        yield _judge(fleet, waiting)


def _judge(fleet: Fleet, waiting: Waiting) -> Finding:
    runs = several(waiting.count, "run waits", "runs wait")
    since = f"the first for {to_text(max(0, round(waiting.seconds)))}"
    what = f"{runs} on worker queue {waiting.worker_queue}, {since}"
    if waiting.worker_queue not in fleet.served:
        machine = "" if waiting.worker_queue == "default" else f" --machine {waiting.worker_queue}"
        mend = f"Start one: `manage.py worker{machine}`."
        return problem("waiting", f"{what}, and no live worker serves it.", mend=mend)
    if waiting.seconds < LONG_WAIT_SECONDS:
        return ok("waiting", f"{what}.")
    slots, busy = fleet.slots(waiting.worker_queue)
    if busy >= slots:
        mend = "Start more workers, or give them more slots (--concurrency)."
        return warn("waiting", f"{what}: all {several(slots, 'slot')} are busy.", mend=mend)
    mend = "Nobody wakes the workers. Look at `beat` and `redis` here, then restart the workers."
    idle = several(slots - busy, "slot is", "slots are")
    return problem("waiting", f"{what}, though {idle} idle.", mend=mend)


def _check_memory(fleet: Fleet) -> Iterator[Finding]:
    """Machines whose memory is not enforced: slots that are threads share one process."""
    definitions = TaskDefinition.objects.filter(environment_id=fleet.environment_id)
    named = {ports.configuration().machine, *definitions.values_list("machine", flat=True)}
    for worker in fleet.workers:
        machines = sorted((named & set(worker.worker_queues)) - {DEFAULT_WORKER_QUEUE})
        if worker.pool != PREFORK and machines:
            what = (
                f"{worker.name} serves {listed(machines)} with {worker.pool}: no limit of memory."
            )
            mend = "Use `--pool prefork` for machines, and `--machine default` with threads."
            yield warn("memory", what, mend=mend)


def _check_lost_claims(fleet: Fleet) -> Finding:
    long_ago = Now() - timedelta(seconds=_RECOVERY_SECONDS)
    gone = Q(worker__stopped_at__lt=long_ago) | Q(worker__lease_until__lt=long_ago)
    claims = Claim.objects.filter(gone, worker__environment_id=fleet.environment_id)
    names = list(claims.values_list("worker__name", flat=True).distinct())
    if not names:
        return ok("lost workers", "No worker that is gone still holds runs.")
    what = f"{several(len(names), 'worker')} that are gone still hold runs: {listed(names)}."
    return problem("lost workers", what, mend="A beat brings them back: `manage.py beat`.")


def _check_attempts(fleet: Fleet) -> Finding:
    params = {"environment_id": fleet.environment_id, "limit": _MOST_SHOWN}
    rows = caller.execute("unheld_attempts", params)
    if not rows:
        return ok("attempts", "Every executing run is held by a live worker.")
    shown = listed([encode("run", row[0]) for row in rows], most=3)
    count = f"at least {_MOST_SHOWN}" if len(rows) == _MOST_SHOWN else str(len(rows))
    if not any(row[3] for row in rows):
        what = f"Runs that execute on workers which are gone ({count}): {shown}."
        mend = "A beat brings them back when the lease is over: see `beat` here."
        return warn("attempts", what, mend=mend)
    what = f"Executing runs that no claim knows ({count}): {shown}."
    mend = "This should not be. Restart the workers that hold them, and please report it."
    return problem("attempts", what, mend=mend)


def _check_hook_calls(fleet: Fleet) -> Finding:
    owed = HookCall.objects.filter(environment_id=fleet.environment_id)
    given_up = owed.filter(tries__gte=MAX_TRIES).count()
    long_ago = Now() - timedelta(seconds=_RECOVERY_SECONDS)
    late = owed.filter(tries__lt=MAX_TRIES, created_at__lt=long_ago).count()
    if given_up:
        runs = several(given_up, "run")
        what = (
            f"The final hooks of {runs} were given up: the worker died {MAX_TRIES} times in them."
        )
        return problem(
            "hooks", what, mend="Look for on_success, on_failure … that kill the process."
        )
    if late:
        what = f"The final hooks of {several(late, 'run')} wait."
        return warn("hooks", what, mend="Is there a live worker for them? See `workers` here.")
    return ok("hooks", "No final hook waits.")
