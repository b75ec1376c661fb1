"""The warehouse's ports, in memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from typing import Any

import duckdb
import pyarrow as pa
from msgspec.structs import replace

from paceline.core.errors import ConflictError
from paceline.core.times import day_bounds_us
from paceline.ports.warehouse import Cut, FailedExpectation, Gate, Publication, ShardCut, WriterProgress
from tests.support.fakes.store import FakeStore

_COPIES_KEPT = 3


@dataclass
class FakeCuts(FakeStore):
    """`snapshots` are the newest complete ones, with their `snapshot_chunks` by shard. `effects` are the
    `(position, log time)` pairs that the writer has stored. Each call of `writer_progress` consumes one item
    of `standings`, each of `bars_position` one of `bars`; the last one stays."""

    snapshots: list[ShardCut] = field(default_factory=list)
    standings: list[dict[int, WriterProgress]] = field(default_factory=lambda: [{}])
    bars: list[int] = field(default_factory=lambda: [0])
    newest: Publication | None = None
    installed: int = 0
    first_us: int | None = None
    snapshot_chunks: dict[int, list[bytes]] = field(default_factory=dict)
    effects: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    copies: dict[int, dict[int, list[bytes]]] = field(default_factory=dict)
    discarded: list[int] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=lambda: count(1))

    def shards(self) -> int:
        self._check_available()
        return self.installed

    def first_opened_us(self) -> int | None:
        self._check_available()
        return self.first_us

    def published(self) -> Publication | None:
        self._check_available()
        return self.newest

    def copy_snapshots(self, day: date) -> tuple[int, list[ShardCut]]:
        self._check_available()
        cut_id = next(self._ids)
        self.copies[cut_id] = dict(self.snapshot_chunks)
        return cut_id, sorted(self.snapshots, key=lambda one: one.shard)

    def writer_progress(self) -> Mapping[int, WriterProgress]:
        self._check_available()
        return self.standings.pop(0) if len(self.standings) > 1 else self.standings[0]

    def bars_position(self) -> int:
        self._check_available()
        return self.bars.pop(0) if len(self.bars) > 1 else self.bars[0]

    def finish(self, cut: Cut) -> Cut:
        self._check_available()
        _, end_us = day_bounds_us(cut.day)
        shards = []
        for one in cut.shards:
            later = [at for at, time_us in self.effects.get(one.shard, ()) if time_us >= end_us]
            shards.append(replace(one, day_end_position=min([*later, one.position])))
        self.copies = {
            cut_id: kept for cut_id, kept in self.copies.items() if cut_id > cut.cut_id - _COPIES_KEPT
        }
        return replace(cut, shards=shards)

    def discard(self, cut_id: int) -> None:
        self._check_available()
        self.discarded.append(cut_id)
        self.copies.pop(cut_id, None)

    def chunks(self, cut_id: int, shard: int) -> list[bytes]:
        self._check_available()
        return self.copies.get(cut_id, {}).get(shard, [])


class FakeLogEnds(FakeStore):
    def __init__(self, ends: Mapping[int, int]) -> None:
        self.ends = dict(ends)

    def __call__(self) -> Mapping[int, int]:
        self._check_available()
        return self.ends


@dataclass
class FakeMetrics(FakeStore):
    """`opened` is the time at which each account was opened, `held` the time since which each symbol is held,
    `barred` the time since which it has bars; all in µs. `rows` are the cut and the accounts of each computed
    day."""

    opened: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    barred: dict[str, int] = field(default_factory=dict)
    rows: dict[date, tuple[Cut, list[str]]] = field(default_factory=dict)

    def days_to_compute(self, cut: Cut) -> list[date]:
        self._check_available()
        day = date(1970, 1, 1) + timedelta(microseconds=min(self.opened.values(), default=0))
        days = {cut.day, cut.as_of_day}
        while self.opened and day <= max(cut.day, cut.as_of_day):
            if day not in self.rows or _is_provisional(self.rows[day][0], day):
                days.add(day)
            day += timedelta(days=1)
        return sorted(days)

    def unmarked(self, cut: Cut, day: date) -> list[str]:
        self._check_available()
        _, end_us = day_bounds_us(day)
        held = {name for name, since_us in self.held.items() if since_us < end_us}
        return sorted(held - {name for name, since_us in self.barred.items() if since_us < end_us})

    def compute(self, cut: Cut, day: date) -> int:
        self._check_available()
        _, end_us = day_bounds_us(day)
        accounts = [name for name, opened_us in self.opened.items() if opened_us < end_us]
        self.rows[day] = (cut, accounts)
        return len(accounts)


def _is_provisional(cut: Cut, day: date) -> bool:
    return cut.provisional and day == cut.as_of_day


class FakeGates(FakeStore):
    """`results` by run and gate; `alerts` are the summaries of the failed gates."""

    def __init__(self) -> None:
        self.results: dict[tuple[str, Gate], tuple[int, str, list[FailedExpectation]]] = {}
        self.alerts: list[str] = []

    def record(
        self, run_id: str, gate: Gate, cut: Cut, summary: str, failures: Sequence[FailedExpectation]
    ) -> None:
        self._check_available()
        self.results[run_id, gate] = (cut.cut_id, summary, list(failures))
        if failures:
            self.alerts.append(summary)

    def passed(self, run_id: str, cut_id: int) -> set[str]:
        self._check_available()
        return {
            gate
            for (run, gate), (at, _, failures) in self.results.items()
            if run == run_id and at == cut_id and not failures
        }


Rows = dict[int, list[dict[str, Any]]]


@dataclass
class FakeModels(FakeStore):
    """`built_at` is the cut of the new models. Rows are keyed by shard. `publications` are `(run, cut)`."""

    built_at: int | None = None
    held: Rows = field(default_factory=dict)
    trades: Rows = field(default_factory=dict)
    failures: list[FailedExpectation] = field(default_factory=list)
    publications: list[tuple[str, Cut]] = field(default_factory=list)

    def prepare(self) -> None:
        self._check_available()
        self.built_at, self.held, self.trades, self.failures = None, {}, {}, []

    def failed_tests(self) -> list[FailedExpectation]:
        self._check_available()
        return list(self.failures)

    def cut_id(self) -> int | None:
        self._check_available()
        return self.built_at

    def balances(self, shard: int) -> Iterator[Mapping[str, Any]]:
        self._check_available()
        yield from self.held.get(shard, [])

    def open_trades(self, shard: int) -> Iterator[Mapping[str, Any]]:
        self._check_available()
        yield from self.trades.get(shard, [])

    def publish(self, run_id: str, cut: Cut) -> None:
        self._check_available()
        if any((run, one.cut_id) == (run_id, cut.cut_id) for run, one in self.publications):
            return
        if any(one.as_of_day > cut.as_of_day or one.cut_id > cut.cut_id for _, one in self.publications):
            raise ConflictError("A newer cut is published already.")
        self.publications.append((run_id, cut))
        self.built_at = None


class FakeExpectations(FakeStore):
    def __init__(self, count: int, failures: Sequence[FailedExpectation] = ()) -> None:
        self.count = count
        self.failures = list(failures)

    def __call__(self) -> tuple[int, list[FailedExpectation]]:
        self._check_available()
        return self.count, self.failures


class FakeColdStore(FakeStore):
    """`tables`: rows by table name; DuckDB applies the `where` clause. `files`: exported rows by table and
    month."""

    def __init__(self, tables: Mapping[str, list[dict[str, Any]]]) -> None:
        self.tables = dict(tables)
        self.files: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def export(self, table: str, month: str, where: str, parameters: Mapping[str, Any]) -> int:
        self._check_available()
        used = {name: value for name, value in parameters.items() if f"%({name})s" in where}
        for name in used:
            where = where.replace(f"%({name})s", f"${name}")
        with duckdb.connect() as duck:
            duck.register("rows", pa.Table.from_pylist(self.tables[table]))
            found = duck.sql(f"select * from rows where {where}", params=used).to_arrow_table()
        self.files[table, month] = found.to_pylist()
        return len(self.files[table, month])
