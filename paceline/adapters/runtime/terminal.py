"""What commands print on stdout: tables and fields for people, plain rows for pipes, JSON for programs.

In a terminal a table is as wide as the terminal: columns with a high priority number are left out first, long
values are shortened, and a last line says so. Elsewhere every column is printed in full, separated by tabs,
after one header line, with no colour.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

if TYPE_CHECKING:
    from rich.console import Console

_GAP: Final = 2  # blanks between two columns
_HINT: Final = "--wide or --json"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table; `name` is the key in the rows and the header in plain rows.

    Columns with the greatest `priority` are left out first, those with 0 never. `least` is the width to which
    longer values may be shortened, in characters. A column that `wraps` is broken at words instead: for
    sentences, in the last column. `style` gives rich's style for a value.
    """

    name: str
    header: str = ""
    priority: int = 0
    align: Literal["left", "right"] = "left"
    least: int | None = None
    wraps: bool = False
    style: Callable[[str], str] | None = None

    @property
    def title(self) -> str:
        return self.header or self.name.replace("_", " ")


@dataclass(frozen=True)
class Layout:
    """The columns that fit, the width of each in characters, and what had to be left out or shortened."""

    shown: list[Column]
    widths: list[int]
    left_out: list[Column] = field(default_factory=list)
    shortened: bool = False


def layout(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> Layout:
    """Fit columns into `width` characters. `rows` hold a text for each column.

    Shortens first, as far as each column's `least`, then leaves columns out. If those with priority 0 do not
    fit, all of them are shortened.
    """
    from rich.cells import cell_len

    natural = {
        column.name: max([cell_len(column.title), *(cell_len(row[at]) for row in rows)])
        for at, column in enumerate(columns)
    }
    shown = list(columns)
    left_out: list[Column] = []
    while True:
        room = width - _GAP * (len(shown) - 1)
        full = [natural[column.name] for column in shown]
        least = [
            min(full_width, column.least or full_width)
            for full_width, column in zip(full, shown, strict=True)
        ]
        if sum(least) <= room:
            break
        last = max(reversed(shown), key=lambda column: column.priority)
        if last.priority == 0:
            least = [1] * len(shown)
            break
        shown.remove(last)
        left_out.insert(0, last)
    widths = _shrunk(full, least, room)
    cut = any(now < before and not c.wraps for now, before, c in zip(widths, full, shown, strict=True))
    return Layout(shown, widths, left_out, cut)


def _shrunk(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Takes from the widest column that may give, one character at a time."""
    found = list(widths)
    while sum(found) > room:
        able = [at for at in range(len(found)) if found[at] > least[at]]
        if not able:
            break
        found[max(able, key=lambda at: found[at])] -= 1
    return found


def show_table(
    columns: Sequence[Column],
    rows: Iterable[Mapping[str, Any]],
    *,
    wide: bool = False,
    hint: str = _HINT,
    console: "Console | None" = None,
) -> None:
    """Print rows, by default on stdout. `wide` prints every column in full in a terminal too.

    `hint` names the options that show what was left out.
    """
    console = console or _console()
    texts = [[_text(row.get(column.name)) for column in columns] for row in rows]
    if console.is_terminal:
        _show_fitted(columns, texts, console, sys.maxsize if wide else console.width, hint)
    else:
        for cells in ([column.name for column in columns], *texts):
            print(*cells, sep="\t", file=console.file)


def _show_fitted(
    columns: Sequence[Column], texts: Sequence[Sequence[str]], console: "Console", width: int, hint: str
) -> None:
    from rich.table import Table
    from rich.text import Text

    fitted = layout(columns, texts, width)
    table = Table(
        box=None,
        padding=(0, _GAP, 0, 0),
        pad_edge=False,
        header_style="bold",
        width=sum(fitted.widths) + _GAP * (len(fitted.widths) - 1),
    )
    for column, column_width in zip(fitted.shown, fitted.widths, strict=True):
        table.add_column(
            Text(column.title),
            width=column_width,
            justify=column.align,
            no_wrap=not column.wraps,
            overflow="fold" if column.wraps else "ellipsis",
        )
    for cells in texts:
        given = dict(zip((column.name for column in columns), cells, strict=True))
        table.add_row(*(_styled(column, given[column.name]) for column in fitted.shown))
    console.print(table, crop=False)
    if note := _note(fitted, hint, width):
        console.print(note, style="dim", highlight=False, markup=False)


def _styled(column: Column, text: str) -> Any:
    from rich.text import Text

    return Text(text or "–", style=column.style(text) if column.style else "")


def _note(fitted: Layout, hint: str, width: int) -> str:
    """Says what the table lacks; names the columns where there is room."""
    count = len(fitted.left_out)
    columns = f"+{count} column{'s' if count != 1 else ''}" if count else ""
    names = f"{columns} ({', '.join(column.title for column in fitted.left_out)})" if count else ""
    values = "shortened values" if fitted.shortened else ""
    texts = [
        ", ".join(filter(None, parts)) for parts in ((names, values), (columns, values), (columns or values,))
    ]
    notes = [f"{text}: {hint}" for text in texts if text]
    return next((note for note in notes if len(note) <= width), notes[-1] if notes else "")


def show_fields(fields: Mapping[str, Any], *, console: "Console | None" = None) -> None:
    """Print one thing, a line for each field: its name and its value. Plain rows have no header line."""
    console = console or _console()
    if not console.is_terminal:
        for name, value in fields.items():
            print(name, _text(value), sep="\t", file=console.file)
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields.items():
        whole = isinstance(value, int) and not isinstance(value, bool)
        table.add_row(Text(name.replace("_", " ")), Text(f"{value:,}" if whole else _text(value) or "–"))
    console.print(table)


def show_json(data: Any, *, console: "Console | None" = None) -> None:
    """Print what msgspec can encode as one JSON value: indented in a terminal, else on one line."""
    console = console or _console()
    encoded = msgspec.json.encode(data)
    print(
        (msgspec.json.format(encoded, indent=2) if console.is_terminal else encoded).decode(),
        file=console.file,
    )


def _console() -> "Console":
    from rich.console import Console

    return Console()


def _text(value: object) -> str:
    """A value on one line. Control characters, which could move the cursor or end a row, become blanks."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if text.isprintable() else "".join(sign if sign.isprintable() else " " for sign in text)
