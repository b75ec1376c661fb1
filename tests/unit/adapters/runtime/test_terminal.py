"""Tables, fields and JSON at several widths, in a pipe and for programs."""

import io
import json
from datetime import date
from typing import Any

import msgspec
import pytest
from rich.console import Console

from paceline.adapters.runtime import terminal
from paceline.adapters.runtime.terminal import Column

COLUMNS = [
    Column(name="account"),
    Column(name="email", header="member", priority=2, least=12),
    Column(name="cash", align="right", priority=3),
    Column(name="margin", align="right", priority=4),
    Column(name="open_trades", align="right", priority=5),
    Column(name="state", priority=1, style=lambda state: "green" if state == "open" else "red"),
]
ROWS: list[dict[str, Any]] = [
    {
        "account": f"01J8Z3K4M5N6P7Q8R9S0T1V2W{number}",
        "email": "a.member.with.a.long.address@community.example.com",
        "cash": "1234567.12345678",
        "margin": "250.5",
        "open_trades": number,
        "state": "halted" if number else "open",
    }
    for number in range(3)
]


def in_terminal(width: int) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)


def in_pipe() -> Console:
    return Console(file=io.StringIO(), width=80, force_terminal=False)


def printed(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_each_row_is_one_line_that_fits(width: int) -> None:
    console = in_terminal(width)
    terminal.show_table(COLUMNS, ROWS, console=console)
    header, *lines, note = printed(console)
    assert header.split()[0] == "account"
    assert [line.split()[0] for line in lines] == [row["account"] for row in ROWS]
    assert all(len(line) <= width for line in (header, *lines, note))
    assert note.endswith(": --wide or --json")


def test_the_least_important_columns_go_first_and_a_hint_names_them() -> None:
    console = in_terminal(80)
    terminal.show_table(COLUMNS, ROWS, console=console)
    header, first, *_, note = printed(console)
    assert header.split() == ["account", "member", "cash", "margin", "state"]
    assert first.split() == [ROWS[0]["account"], "a.member.with.a.l…", "1234567.12345678", "250.5", "open"]
    assert note == "+1 column (open trades), shortened values: --wide or --json"
    console = in_terminal(40)
    terminal.show_table(COLUMNS, ROWS, console=console)
    header, *_, note = printed(console)
    assert header.split() == ["account", "state"]
    assert note == "+4 columns: --wide or --json"


def test_wide_prints_everything_however_narrow_the_terminal() -> None:
    console = in_terminal(40)
    terminal.show_table(COLUMNS, ROWS, wide=True, console=console)
    header, *lines = printed(console)
    assert header.split() == ["account", "member", "cash", "margin", "open", "trades", "state"]
    assert [line.split() for line in lines] == [[str(value) for value in row.values()] for row in ROWS]


def test_what_fits_has_no_hint_and_empty_values_show_as_a_dash() -> None:
    console = in_terminal(80)
    terminal.show_table(
        [Column(name="name"), Column(name="lag", align="right")],
        [{"name": "api", "lag": None}],
        console=console,
    )
    assert printed(console) == ["name  lag", "api     –"]


def test_columns_that_always_stay_are_shortened_where_even_they_do_not_fit() -> None:
    columns = [Column(name="one"), Column(name="two")]
    console = in_terminal(24)
    terminal.show_table(columns, [{"one": "a" * 30, "two": "b" * 5}], hint="--json", console=console)
    assert printed(console) == [
        "one                two  ",
        "aaaaaaaaaaaaaaaa…  bbbbb",
        "shortened values: --json",
    ]


def test_a_sentence_wraps_at_words_within_its_column() -> None:
    columns = [Column(name="check"), Column(name="message", wraps=True, least=20)]
    sentence = "0.5 GiB free: make room for at least 1 GiB, or set PACELINE_VAR_DIR"
    console = in_terminal(40)
    terminal.show_table(columns, [{"check": "disk", "message": sentence}], console=console)
    _, first, *others = printed(console)
    assert all(line.startswith(" " * 7) for line in others)
    assert " ".join([first[7:].strip(), *(line.strip() for line in others)]) == sentence


def test_a_colour_follows_the_value_in_a_terminal_and_never_in_a_pipe() -> None:
    coloured = Console(
        file=io.StringIO(), width=80, force_terminal=True, color_system="standard", no_color=False
    )
    terminal.show_table(COLUMNS, ROWS, console=coloured)
    text = "\n".join(printed(coloured))
    assert "\x1b[32mopen" in text
    assert "\x1b[31mhalted" in text
    piped = in_pipe()
    terminal.show_table(COLUMNS, ROWS, console=piped)
    assert "\x1b" not in "\n".join(printed(piped))


def test_a_pipe_gets_all_columns_in_full_after_one_header_line() -> None:
    console = in_pipe()
    terminal.show_table(COLUMNS, ROWS, console=console)
    header, *lines = printed(console)
    assert header.split("\t") == [column.name for column in COLUMNS]
    assert [line.split("\t") for line in lines] == [[str(value) for value in row.values()] for row in ROWS]


def test_a_value_can_neither_end_a_row_nor_move_the_cursor() -> None:
    row = {"name": "a\tb\nc\x1b[2Jd", "members": [1, 2], "up": True}
    columns = [Column(name=name) for name in row]
    for console in (in_pipe(), in_terminal(80)):
        terminal.show_table(columns, [row], console=console)
        _, line = printed(console)
        assert "a b c [2Jd" in line
        assert "\x1b" not in line
    assert "[2Jd\t1, 2\ttrue" in printed_in_pipe(columns, row)


def printed_in_pipe(columns: list[Column], row: dict[str, Any]) -> str:
    console = in_pipe()
    terminal.show_table(columns, [row], console=console)
    return printed(console)[1]


def test_fields_are_a_line_each() -> None:
    fields = {"open_trades": 12345, "state_hash": "f" * 64, "halted": False, "email": None}
    console = in_terminal(80)
    terminal.show_fields(fields, console=console)
    assert [line.rstrip() for line in printed(console)] == [
        "open trades  12,345",
        f"state hash   {'f' * 64}",
        "halted       false",
        "email        –",
    ]
    console = in_pipe()
    terminal.show_fields(fields, console=console)
    assert printed(console) == ["open_trades\t12345", f"state_hash\t{'f' * 64}", "halted\tfalse", "email\t"]


def test_json_is_one_line_for_programs_and_indented_for_people() -> None:
    class Row(msgspec.Struct):
        day: date
        amount: str

    data = [Row(date(2026, 3, 1), "1.5 ≤ 2")]
    console = in_pipe()
    terminal.show_json(data, console=console)
    assert printed(console) == ['[{"day":"2026-03-01","amount":"1.5 ≤ 2"}]']
    console = in_terminal(10)
    terminal.show_json(data, console=console)
    assert len(printed(console)) > 1
    assert json.loads("\n".join(printed(console))) == [{"day": "2026-03-01", "amount": "1.5 ≤ 2"}]
