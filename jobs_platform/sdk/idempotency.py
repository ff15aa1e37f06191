"""`idempotency_keys`: keys that let work be triggered once, and how far each of them reaches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from asgiref.sync import sync_to_async

from jobs_platform.domain import ids
from jobs_platform.domain.errors import InvalidOptionError, close_matches, did_you_mean
from jobs_platform.sdk import ports
from jobs_platform.sdk.context import ActiveRun, current_run
from jobs_platform.sdk.texts import check_text

MAX_KEY_LENGTH = 2_048
DEFAULT_TTL_SECONDS = 30 * 86_400.0
SCOPES = ("run", "attempt", "global")
_MAX_STORED = 200
_READABLE = 120

Scope = Literal["run", "attempt", "global"]


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A key with its reach. Made by `idempotency_keys.create`."""

    key: str
    """As people read it."""
    owner: str
    """The run or attempt within which it is unique, or `global`."""

    @property
    def shown(self) -> str:
        """What the run shows: the key, or its beginning and a hash when it is long."""
        return _short(self.key)

    @property
    def held(self) -> str:
        """What is unique in the database. No owner has a colon, so two owners never meet."""
        return f"{self.owner}:{_short(self.key)}"

    def __str__(self) -> str:
        return self.key


AnyKey = str | IdempotencyKey


class IdempotencyKeys:
    """Makes keys of a chosen reach, and frees keys."""

    __slots__ = ()

    def create(self, key: str | Iterable[str], *, scope: Scope = "run") -> IdempotencyKey:
        """A key that is unique in this run, in this attempt of it, or in the whole environment.

        Several texts make one key. Outside a run all scopes are global.
        """
        if scope not in SCOPES:
            hint = did_you_mean(close_matches(str(scope), SCOPES))
            reason = f"is not one of {', '.join(SCOPES)}"
            raise InvalidOptionError(option="scope", value=scope, reason=reason, suggestion=hint)
        return IdempotencyKey(_joined(key), _owner(scope))

    def reset(self, task_id: Any, key: AnyKey, *, environment: str | None = None) -> bool:
        """Free a key of a task (its id, or itself): the next trigger with it makes a new run.

        False when no run holds the key. A plain text means what it would mean in a trigger here.
        """
        identity = getattr(task_id, "id", task_id)
        held = scoped(key).held
        slug = environment or _environment_here()
        return ports.engine().reset_idempotency_key(str(identity), held, environment=slug)

    async def areset(self, task_id: Any, key: AnyKey, *, environment: str | None = None) -> bool:
        return await sync_to_async(self.reset)(task_id, key, environment=environment)


idempotency_keys = IdempotencyKeys()


def scoped(key: AnyKey) -> IdempotencyKey:
    """A key as a trigger takes it: plain text is unique in the run that it is used in."""
    if isinstance(key, IdempotencyKey):
        return key
    if not isinstance(key, str):
        reason = "is neither text nor a key; idempotency_keys.create([...]) makes one of several"
        raise InvalidOptionError(option="idempotency_key", value=key, reason=reason)
    return IdempotencyKey(_joined(key), _owner("run"))


def _joined(key: str | Iterable[str]) -> str:
    """One text; parts are joined so that no other parts give the same."""
    if isinstance(key, str):
        return check_text("idempotency_key", key, limit=MAX_KEY_LENGTH)
    if isinstance(key, bytes) or not isinstance(key, Iterable):
        reason = "is neither text nor a list of texts"
        raise InvalidOptionError(option="idempotency_key", value=key, reason=reason)
    parts = [check_text("idempotency_key", part, limit=MAX_KEY_LENGTH) for part in key]
    joined = "-".join(part.replace("\\", "\\\\").replace("-", "\\-") for part in parts)
    return check_text("idempotency_key", joined, limit=MAX_KEY_LENGTH)


def _owner(scope: Scope) -> str:
    active = _run_here()
    if active is None or scope == "global":
        return "global"
    run_id = ids.encode("run", active.facts.id)
    return run_id if scope == "run" else f"{run_id}.{active.facts.attempt_number}"


def _run_here() -> ActiveRun | None:
    active = current_run.get()
    return None if active is None or active.is_local else active


def _environment_here() -> str | None:
    active = current_run.get()
    return active.facts.environment if active else None


def _short(key: str) -> str:
    if len(key) <= _MAX_STORED:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f"{key[:_READABLE]}…{digest}"
