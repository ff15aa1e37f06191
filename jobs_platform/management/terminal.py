"""What a command shows: tables, lines and JSON on standard output; notes and errors on standard
error.

On a terminal rich draws; into a pipe goes plain aligned text; with `--json` standard output holds
JSON only, one value a line. Knows nothing about runs or workers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import IO, Any

from django.core.management.base import OutputWrapper
from rich.console import Console, RenderableType
from rich.json import JSON
from rich.live import Live
from rich.table import Table
from rich.text import Text

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_PLAIN_WIDTH = 10_000


class Terminal:
    """Both output streams of one command."""

    def __init__(
        self, out: IO[str], err: IO[str], *, as_json: bool = False, color: bool | None = None
    ) -> None:
        for stream in (out, err):
            if isinstance(stream, OutputWrapper):
                stream.ending = ""  # rich ends its own lines
                stream.style_func = None
        self._out = out
        self.as_json = as_json
        self.is_live = out.isatty() and not as_json
        """Whether somebody watches: lines may move."""
        self.console = _console(out, color)
        self._err = _console(err, color)

    def say(self, text: str | Text = "", *, style: str = "") -> None:
        """One line for people; nothing with `--json`."""
        if not self.as_json:
            self.show(_text(text, style))

    def show(self, drawing: RenderableType) -> None:
        """Anything that rich can draw, unwrapped; nothing with `--json`."""
        if not self.as_json:
            self.console.print(drawing, soft_wrap=True)

    def emit(self, value: Any) -> None:
        """One line of JSON, with `--json` only."""
        if self.as_json:
            self._out.write(to_json(value) + "\n")
            self._out.flush()

    def pairs(self, rows: Iterable[tuple[str, object]]) -> None:
        """Names and values, aligned; rows without a value are left out."""
        shown = [(name, value) for name, value in rows if value not in (None, "", ())]
        width = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            text = value if isinstance(value, Text) else Text(printable(str(value)))
            self.say(Text.assemble((name.ljust(width + 2), "dim"), text))

    def table(
        self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str
    ) -> None:
        """A table, or the line `empty` when there are no rows."""
        if self.as_json:
            return
        if not rows:
            self.say(empty, style="dim")
        elif self.is_live:
            self._draw_table(columns, rows)
        else:
            self._write_table(columns, rows)

    def value(self, value: Any) -> None:
        """A payload or an output as indented JSON."""
        if self.is_live:
            self.show(JSON.from_data(value, default=_jsonable))
        else:
            self.say(json.dumps(value, indent=2, ensure_ascii=False, default=_jsonable))

    def note(self, text: str) -> None:
        """A remark on standard error, nothing with `--json`."""
        if not self.as_json:
            self._err.print(_text(text, "dim"), soft_wrap=True)

    def error(self, code: str, message: str) -> None:
        """One error: a line on standard error, or with `--json` a JSON line on standard output."""
        if self.as_json:
            self.emit({"error": {"code": code, "message": message}})
        else:
            line = Text.assemble((f"error[{code}]", "bold red"), ": ", printable(message))
            self._err.print(line, soft_wrap=True)

    @contextmanager
    def live(self) -> Iterator[Live | None]:
        """A place below the lines that can be redrawn; None where nobody watches."""
        if not self.is_live:
            yield None
            return
        with Live(console=self.console, transient=True, refresh_per_second=8) as drawn:
            yield drawn

    def _draw_table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(_cell(value) for value in row))
        self.console.print(table)

    def _write_table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        lines = [list(columns), *([_cell(value).plain for value in row] for row in rows)]
        widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
        for line in lines:
            cells = (text.ljust(width) for text, width in zip(line, widths, strict=True))
            self.say("  ".join(cells).rstrip())


def to_json(value: Any) -> str:
    """Compact JSON; dataclasses become objects, instants ISO 8601 in UTC."""
    return json.dumps(value, ensure_ascii=False, default=_jsonable)


def printable(text: str) -> str:
    """`text` without what would steer the terminal; other people's words are shown, not obeyed."""
    return _UNPRINTABLE.sub("�", text.replace("\r\n", "\n").replace("\r", "\n"))


def shorten(text: str, *, width: int = 60) -> str:
    """The first line of `text`, cut to `width` characters."""
    line = text.partition("\n")[0]
    return line if len(line) <= width else f"{line[: width - 1]}…"


def local_time(at: datetime | None) -> str:
    """An instant for people: in the time zone of this machine, to the second."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else ""


def _console(stream: IO[str], color: bool | None) -> Console:
    is_terminal = stream.isatty()
    return Console(
        file=stream,
        force_terminal=color or is_terminal,
        no_color=color is False,
        width=None if is_terminal else _PLAIN_WIDTH,
        markup=False,
        highlight=False,
        emoji=False,
    )


def _text(text: str | Text, style: str) -> Text:
    return text if isinstance(text, Text) else Text(printable(text), style=style)


def _cell(value: object) -> Text:
    if isinstance(value, Text):
        return value
    return Text("" if value is None else printable(str(value)))


def _jsonable(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)
