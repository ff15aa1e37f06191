"""`python -m benchmarks [NAME ...] [--quick] [--json FILE] [--repetitions N]`."""

from __future__ import annotations

import signal
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from rich.console import Console

from benchmarks import report
from benchmarks.arena import Arena, open_arena
from benchmarks.child import BenchmarkError
from benchmarks.contenders import ALL
from benchmarks.cpu import Strangers
from benchmarks.findings import Section
from benchmarks.measurements import (
    batch,
    drain,
    flow,
    held_open,
    history,
    idle,
    keys,
    latency,
    neighbours,
    single,
)
from benchmarks.plan import Plan, chosen

MEASUREMENTS: dict[str, Callable[[Plan], Section]] = {
    "drain": drain.measure,
    "held_open": held_open.measure,
    "history": history.measure,
    "flow": flow.measure,
    "keys": keys.measure,
    "single": single.measure,
    "batch": batch.measure,
    "latency": latency.measure,
    "idle": idle.measure,
    "neighbours": neighbours.measure,
}

_WIDTH = 120
"""Of a report that goes into a file."""


def main(
    arguments: list[str] | None = None,
    *,
    arena: Callable[[], AbstractContextManager[Arena]] = open_arena,
) -> int:
    """Measure and report. A missed target is a finding; only a broken measurement is an error."""
    options = _parser().parse_args(arguments)
    if unknown := set(options.names) - set(MEASUREMENTS):
        _parser().error(f"no such measurement: {', '.join(sorted(unknown))}")
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    sections: dict[str, Section] = {}
    failed = False
    began = time.monotonic()
    with arena() as place:
        plan = _plan(options, place, console)
        for name in options.names or MEASUREMENTS:
            strangers = Strangers()
            try:
                section = MEASUREMENTS[name](plan)
            except BenchmarkError as error:
                failed = True
                section = Section(name, notes=[f"Not measured: {error}"])
            section.notes.append(f"Others used {strangers.share:.0%} of the machine meanwhile.")
            sections[name] = section
            report.show(console, section)
    report.show_verdicts(console, sections, seconds=time.monotonic() - began)
    if options.json:
        report.write(options.json, sections, scale=options.scale)
    return int(failed)


def _plan(options: Namespace, arena: Arena, console: Console) -> Plan:
    def say(text: str) -> None:
        console.print(text, style="dim", highlight=False)

    repetitions = options.repetitions or {"full": 3}.get(options.scale, 1)
    return Plan(arena, options.scale, repetitions, chosen(options.only), say)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m benchmarks", description="Side by side with peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASUREMENTS))
    parser.add_argument(
        "--quick", dest="scale", action="store_const", const="quick", default="full",
        help="about three minutes, one repetition",
    )  # fmt: skip
    parser.add_argument(
        "--tiny", dest="scale", action="store_const", const="tiny",
        help="only to see that everything works: the figures mean nothing",
    )  # fmt: skip
    parser.add_argument("--repetitions", type=int, help="interleaved; the median counts (3)")
    parser.add_argument(
        "--only", action="append", default=[], choices=[contender.name for contender in ALL],
        help="measure only this contender; repeatable",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
