"""What `dev` and `demo` start: the servers, then web, workers and beat under one supervisor."""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from jobs_platform.api import dev_login
from jobs_platform.domain.configuration import Configuration
from jobs_platform.embedded.address import WEB_ADDRESS_FILE
from jobs_platform.management import debugger, readiness
from jobs_platform.management.child import Program
from jobs_platform.management.child_output import LogFiles, PrefixedLines
from jobs_platform.management.jobs_command import CommandFailure
from jobs_platform.management.listening import HOST, listen
from jobs_platform.management.reload import PAGES, Reloader
from jobs_platform.management.servers import Servers, default_data_dir, started_servers
from jobs_platform.management.supervisor import Supervisor
from jobs_platform.management.terminal import Terminal
from jobs_platform.sdk.ports import configuration

READY_SECONDS = 60.0
_POLL_SECONDS = 0.05
_HOPELESS_CRASHES = 3
_SHUTDOWN_RESERVE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the command line asks for."""

    data_dir: Path
    port: int | None = None
    workers: int = 1
    task_folders: tuple[Path, ...] = ()
    reloads: bool = False
    is_debugging: bool = False
    """The worker has the terminal, so that a breakpoint works."""
    is_quiet: bool = False
    """Children write into log files."""


class Development:
    """A running development environment; `run` returns when it has been stopped."""

    def __init__(
        self, plan: Plan, *, servers: Servers, listening: socket.socket, terminal: Terminal
    ) -> None:
        self._plan = plan
        self.servers = servers
        self.port: int = listening.getsockname()[1]
        self.url = f"http://{HOST}:{self.port}"
        self.started_at = time.monotonic()
        self._since: datetime = readiness.database_now()
        programs = _programs(plan, listening=listening, url=self.url)
        self._names = tuple(program.name for program in programs)
        self.output: LogFiles | PrefixedLines
        if plan.is_quiet:
            self.output = LogFiles(plan.data_dir / "logs", names=(*self._names, "dev"))
        else:
            self.output = PrefixedLines(terminal, names=(*self._names, "dev"))
        self._supervisor = Supervisor(
            programs,
            write=self.output.write,
            restart_patience_seconds=configuration().shutdown_timeout_seconds
            + _SHUTDOWN_RESERVE_SECONDS,
            every_second=self._look_after_servers,
        )

    def login_url(self, *, next_path: str | None = None) -> str | None:
        return dev_login.login_url(self.url, next_path=next_path)

    def run(self, story: Callable[[], None]) -> None:
        """Keep everything running; `story` is told in a thread beside it."""
        with ExitStack() as last_first:
            last_first.callback(self.output.close)
            if self._plan.reloads:
                reloader = Reloader(_base(), self._task_folders(), on_save=self._on_save)
                last_first.callback(reloader.close)
            self._supervisor.run(lambda: _in_thread(story))

    def stop(self) -> None:
        self._supervisor.stop()

    def wait_until_ready(self) -> None:
        """Return when everything works; `CommandFailure` when it does not in a minute."""
        missing = self._missing()
        while (name := next(missing, None)) is not None:
            crashes = self._supervisor.crashes()
            if self._plan.is_quiet and max(crashes.values()) >= _HOPELESS_CRASHES:
                raise self._not_ready(max(crashes, key=lambda program: crashes[program]))
            if time.monotonic() - self.started_at > READY_SECONDS:
                raise self._not_ready(name)
            time.sleep(_POLL_SECONDS)

    def _missing(self) -> Iterator[str]:
        """Names what does not work yet, again and again, until everything does."""
        while not readiness.web_answers(self.port):
            yield "web"
        while readiness.live_workers(since=self._since) < self._plan.workers:
            yield "worker"
        while not readiness.live_beats(since=self._since):
            yield "beat"

    def _not_ready(self, name: str) -> CommandFailure:
        message = f"{name} is not ready after {time.monotonic() - self.started_at:.0f} seconds."
        said = self.output.tail(name)
        if said:
            message += f" Its log ends with:\n{said}"
        return CommandFailure("not_ready", message)

    def _task_folders(self) -> list[Path]:
        declared = [(_base() / entry).absolute() for entry in configuration().dirs]
        return [folder for folder in (*declared, *self._plan.task_folders) if folder.is_dir()]

    def _on_save(self, suffixes: set[str], file: Path) -> None:
        names = ("web",) if suffixes <= PAGES else self._names
        self.output.write("dev", f"{_relative(file)} was saved: {', '.join(names)} begin anew")
        self._supervisor.restart(names)

    def _look_after_servers(self) -> None:
        for name in self.servers.revive():
            self.output.write("dev", f"{name} had ended and runs again")


@contextmanager
def started(plan: Plan, terminal: Terminal) -> Iterator[Development]:
    """Servers that run and a migrated database; everything is stopped at the end."""
    with ExitStack() as last_first:
        last_first.enter_context(_sigterm_unwinds())
        listening = last_first.enter_context(listen(plan.port))
        servers = last_first.enter_context(started_servers(plan.data_dir))
        call_command("migrate", interactive=False, verbosity=0)
        development = Development(plan, servers=servers, listening=listening, terminal=terminal)
        last_first.enter_context(_published(plan.data_dir, url=development.url))
        yield development


@contextmanager
def _published(data_dir: Path, *, url: str) -> Iterator[None]:
    """Commands in other terminals print links to the pages that are served here."""
    data_dir.mkdir(parents=True, exist_ok=True)
    file = data_dir / WEB_ADDRESS_FILE
    file.write_text(f"{url}\n", "utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _programs(plan: Plan, *, listening: socket.socket, url: str) -> list[Program]:
    environment = _environment(plan, url=url)
    descriptor = listening.fileno()
    daphne = ("-m", "daphne", "--fd", str(descriptor), "-v", "0", _asgi_application())
    programs = [
        Program("web", (sys.executable, *daphne), environment, file_descriptors=(descriptor,)),
        Program("beat", _django("beat"), environment),
    ]
    if plan.is_debugging:
        debugged = environment | {"PYTHONBREAKPOINT": debugger.HOOK}
        worker = _django("worker", "--pool", "solo")
        return [*programs, Program("worker", worker, debugged, is_foreground=True)]
    numbers = range(1, plan.workers + 1)
    names = ["worker"] if plan.workers == 1 else [f"worker-{number}" for number in numbers]
    return [*programs, *(Program(name, _django("worker"), environment) for name in names)]


def _asgi_application() -> str:
    """As daphne wants it."""
    dotted = getattr(settings, "ASGI_APPLICATION", None)
    if not dotted:
        message = 'The settings name no ASGI_APPLICATION, such as "yourproject.asgi.application".'
        raise CommandFailure("configuration_invalid", message)
    module, _, name = dotted.rpartition(".")
    return f"{module}:{name}"


def _environment(plan: Plan, *, url: str) -> dict[str, str]:
    """What tells a child process where everything is, on top of the variables of this one."""
    folders = [entry for entry in configuration().dirs if entry not in Configuration().dirs]
    folders += map(str, plan.task_folders)
    environment = {"JOBS_DATA_DIR": str(plan.data_dir), "JOBS_BASE_URL": url}
    if folders:
        environment["JOBS_DIRS"] = ",".join(folders)
    if plan.data_dir != default_data_dir():
        # Another folder has another key; the login link is signed with this process' own.
        environment["DJANGO_SECRET_KEY"] = settings.SECRET_KEY
    return environment


def _django(command: str, *arguments: str) -> tuple[str, ...]:
    """Another command of this project, called as this one was.

    Without checks: one module that does not import must not stop the others' tasks.
    """
    script = Path(sys.argv[0])
    start = (str(script),) if script.name == "manage.py" else ("-m", "django")
    return (sys.executable, *start, command, *arguments, "--skip-checks")


def _base() -> Path:
    return Path(configuration().base_dir or Path.cwd()).absolute()


def _relative(file: Path) -> str:
    return str(file.relative_to(_base()) if file.is_relative_to(_base()) else file)


def _in_thread(story: Callable[[], None]) -> None:
    try:
        story()
    finally:
        connections.close_all()


@contextmanager
def _sigterm_unwinds() -> Iterator[None]:
    """Before the supervisor listens to it, SIGTERM must not leave servers behind."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    former = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
