"""The base of the platform's commands: `--json`, one line for every error, the exit code.

Errors go to standard error as `error[code]: text`, with `--json` to standard output as
`{"error": {"code", "message"}}`. Exit codes: 0 done; 1 refused, failed or not reachable; 2 the
command line is wrong; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import Any, NoReturn

from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    handle_default_options,
)
from django.db import connections

from jobs_platform.domain.errors import JobsError
from jobs_platform.embedded.errors import EmbeddedStackError
from jobs_platform.engine import caller
from jobs_platform.management.terminal import Terminal

FAILED = 1
USAGE = 2
INTERRUPTED = 130
_PIPE_CLOSED = 141
_EPILOG = (
    "Errors are one line on standard error, error[code]: text; with --json one line "
    '{"error": {"code", "message"}} on standard output. Exit code: 0 done, 1 refused or failed, '
    "2 wrong command line, 130 interrupted."
)


class CommandFailure(CommandError):
    """What went wrong, under a stable code."""

    def __init__(self, code: str, message: str, *, returncode: int = FAILED) -> None:
        super().__init__(f"error[{code}]: {message}", returncode=returncode)
        self.code = code
        self.message = message


class UsageError(CommandFailure):
    """The command line asks for something that cannot be."""

    def __init__(self, message: str, *, code: str = "usage") -> None:
        super().__init__(code, message, returncode=USAGE)


class JobsCommand(BaseCommand):
    """A command that says in one line what went wrong. Subclasses implement `run`."""

    requires_system_checks: Sequence[str] = ()
    terminal: Terminal

    def add_common_arguments(self, parser: CommandParser, *, default: Any = False) -> None:
        """`--json`. A subcommand's default is SUPPRESS, or it would undo the command's own."""
        parser.add_argument(
            "--json",
            action="store_true",
            dest="as_json",
            default=default,
            help="one line of JSON instead of text",
        )

    def run(self, **options: Any) -> int | None:
        """Do it; the result is the exit code (None is 0)."""
        raise NotImplementedError

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.setdefault("epilog", _EPILOG)
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        if "\n" in (self.help or ""):
            parser.formatter_class = RawDescriptionHelpFormatter
        return parser

    def handle(self, *args: Any, **options: Any) -> None:
        """For `call_command` too: errors are `CommandError`, another exit code is `SystemExit`."""
        color = False if options.get("no_color") else options.get("force_color") or None
        self.terminal = Terminal(
            self.stdout, self.stderr, as_json=bool(options.get("as_json")), color=color
        )
        try:
            with caller.translated():
                code = self.run(**options)
        except JobsError as error:
            raise CommandFailure(error.code, _with_notes(error)) from error
        except EmbeddedStackError as error:
            raise CommandFailure(error.code, str(error)) from error
        if code:
            sys.exit(code)

    def run_from_argv(self, argv: list[str]) -> None:
        """As Django's, with our errors and without its traceback for an interruption."""
        parser = self.create_parser(argv[0], argv[1])
        as_json = "--json" in argv[2:]
        wants_traceback = "--traceback" in argv[2:]
        try:
            options = parser.parse_args(argv[2:])
        except CommandError as error:
            self._fail(_usage(error, f"{parser.prog} --help"), as_json)
        handle_default_options(options)
        given = vars(options)
        try:
            self.execute(*given.pop("args", ()), **given)
            self.stdout.flush()
        except CommandError as error:
            if wants_traceback:
                raise
            self._fail(error, as_json)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            # The reader has gone (`| head`); without this Python complains when it flushes.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(_PIPE_CLOSED)
        finally:
            connections.close_all()

    def _fail(self, error: CommandError, as_json: bool) -> NoReturn:
        code = error.code if isinstance(error, CommandFailure) else "command_failed"
        message = error.message if isinstance(error, CommandFailure) else str(error)
        Terminal(self.stdout, self.stderr, as_json=as_json).error(code, message)
        sys.exit(error.returncode)


def _usage(error: CommandError, help_command: str) -> UsageError:
    if isinstance(error, UsageError):
        return error
    text = str(error).removeprefix("Error: ").rstrip(".")
    return UsageError(f"{text}. `{help_command}` shows what there is.")


def _with_notes(error: JobsError) -> str:
    return " ".join([str(error), *getattr(error, "__notes__", ())])
