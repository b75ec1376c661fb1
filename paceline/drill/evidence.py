"""The evidence after a drill: the exported log, and what the services made of it."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import redis

from paceline.adapters.kafka.log_scan import scan
from paceline.adapters.kafka.topics import ENGINE_OUT
from paceline.adapters.postgres.numbers import from_numeric
from paceline.engine import Engine
from paceline.local.stack.throwaway import Stack
from paceline.messages.inbound import USER_TYPES, PriceUpdate, UserInstruction
from paceline.messages.json_form import DecodeError, decode_line
from paceline.messages.log_form import decode_effects
from paceline.messages.outbound import Outbound


@dataclass
class Snapshot:
    position: int
    next_offset: int
    state_hash: str
    chunks: list[bytes]


@dataclass
class ShardEvidence:
    """One shard. `engine` and `outputs` result from a replay of the exported log from its start; `cli_hash`
    is what `paceline replay` prints. `out` holds the outputs on `engine.out` by id, `out_copies` counts
    repeated ids, `out_different` lists ids whose outputs differ. Snapshots are newest first.
    """

    shard: int
    engine: Engine
    outputs: dict[str, Outbound]
    instructions: dict[int, UserInstruction]
    cli_hash: str
    ledger_sums: dict[str, int]
    snapshots: list[Snapshot]
    resumed_hash: str
    out: dict[str, Outbound] = field(default_factory=dict)
    out_copies: int = 0
    out_different: list[str] = field(default_factory=list)


def messages_of(file: Path) -> Iterator[Any]:
    """The messages of an exported log; None for one that cannot be decoded."""
    with file.open("rb") as lines:
        for line in lines:
            try:
                yield decode_line(line.rstrip(b"\n"))
            except DecodeError:
                yield None


def apply(engine: Engine, message: Any) -> list[Outbound]:
    if message is None:
        engine.apply_undecodable()
        return []
    return engine.apply(message)


def exported(folder: Path, shard: int) -> Path:
    """The file that holds a shard's log."""
    return folder / f"shard-{shard}.jsonl"


async def collect(stack: Stack, shard: int, folder: Path) -> ShardEvidence:
    """Export the shard's log and replay it; read `engine.out` and the snapshots."""
    file = exported(folder, shard)
    stack.run("log", "export", "--shard", str(shard), str(file), timeout_s=600)
    engine = Engine(shard=shard)
    outputs: dict[str, Outbound] = {}
    instructions: dict[int, UserInstruction] = {}
    for position, message in enumerate(messages_of(file)):
        if isinstance(message, USER_TYPES):
            instructions[position] = message
        outputs |= {output.id: output for output in apply(engine, message)}
    engine.check_ledger()
    snapshots = read_snapshots(stack, shard)
    at = str(snapshots[0].position)
    report = stack.run("replay", str(file), "--shard", str(shard), "--at", at, "--json", timeout_s=600)
    evidence = ShardEvidence(
        shard=shard,
        engine=engine,
        outputs=outputs,
        instructions=instructions,
        cli_hash=json.loads(report.stdout)["state_hash"],
        ledger_sums={asset: sum(kinds.values()) for asset, kinds in engine.ledger().items()},
        snapshots=snapshots,
        resumed_hash=_resumed_hash(snapshots[-1], file),
    )
    await _read_engine_out(stack, evidence)
    return evidence


def _resumed_hash(snapshot: Snapshot, file: Path) -> str:
    """State hash at the end of the log of an engine that starts from a snapshot."""
    engine = Engine.load(snapshot.chunks)
    for position, message in enumerate(messages_of(file)):
        if position >= snapshot.position:
            apply(engine, message)
    return engine.state_hash()


async def _read_engine_out(stack: Stack, evidence: ShardEvidence) -> None:
    async with scan(stack.settings.kafka, ENGINE_OUT, evidence.shard) as log:
        bounds = await log.bounds()
        async for record in log.records(bounds.begin, bounds.end):
            for effect in decode_effects(record.value):
                for output in effect.outputs:
                    first = evidence.out.setdefault(output.id, output)
                    if first is not output:
                        evidence.out_copies += 1
                        if first != output:
                            evidence.out_different.append(output.id)


def rows(stack: Stack, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """The rows of a query on the stack's database."""
    with psycopg.connect(stack.settings.database_url_of("nightly")) as connection:
        return connection.execute(query.encode(), values).fetchall()


def read_snapshots(stack: Stack, shard: int) -> list[Snapshot]:
    """The complete snapshots of a shard, newest first."""
    heads = rows(
        stack,
        "select generation, position, next_offset, state_hash from engine.snapshots"
        " where shard = %s and complete order by position desc",
        shard,
    )
    chunks = (
        "select data::text from engine.snapshot_chunks where shard = %s and generation = %s order by ordinal"
    )
    found = []
    for generation, position, next_offset, state_hash in heads:
        texts = [text.encode() for (text,) in rows(stack, chunks, shard, generation)]
        found.append(Snapshot(position, next_offset, state_hash, texts))
    return found


def stored_closed_orders(stack: Stack) -> Counter[tuple[Any, ...]]:
    found = rows(
        stack,
        'select shard, position, ordinal, account, trade, "order", reason, quantity, remaining, profit, fee'
        " from engine.closed_orders",
    )
    return Counter((_output_id(row), *row[3:7], *map(_scaled, row[7:])) for row in found)


def stored_balances(stack: Stack) -> Counter[tuple[Any, ...]]:
    found = rows(stack, "select shard, position, ordinal, account, cash, margin, locked from engine.balances")
    return Counter((_output_id(row), row[3], *map(_scaled, row[4:])) for row in found)


def stored_answers(stack: Stack) -> Counter[tuple[Any, ...]]:
    """The users' instructions with their answers."""
    found = rows(
        stack,
        "select shard, position, 0, account, instruction, status, code, duplicate from engine.instructions"
        " where account is not null and response is not null",
    )
    return Counter((_output_id(row), *row[3:]) for row in found)


def bars_of(folder: Path) -> dict[str, list[int]]:
    """By symbol and minute what a bar must be by the exported log of shard 0: each side's open, high, low and
    close, the number of updates and the last update id.

    The computation shares no code with the reader: it groups the prices first.
    """
    last: dict[str, int] = {}
    minutes: dict[str, list[PriceUpdate]] = {}
    for message in messages_of(exported(folder, 0)):
        if not isinstance(message, PriceUpdate):
            continue
        bid, ask = message.bid, message.ask
        if message.update_id > last.get(message.symbol, -1) and bid > 0 and ask > bid:
            last[message.symbol] = message.update_id
            name = f"{message.symbol} {message.time // 60_000_000}"
            minutes.setdefault(name, []).append(message)
    return {name: _bar(updates) for name, updates in minutes.items()}


def _bar(updates: list[PriceUpdate]) -> list[int]:
    bids, asks = [one.bid for one in updates], [one.ask for one in updates]
    sides = [edge for side in (bids, asks) for edge in (side[0], max(side), min(side), side[-1])]
    return [*sides, len(updates), updates[-1].update_id]


def stored_bars(stack: Stack) -> dict[str, list[int]]:
    found = rows(
        stack,
        "select symbol, minute_us / 60000000, bid_open, bid_high, bid_low, bid_close,"
        " ask_open, ask_high, ask_low, ask_close, updates, last_update_id from market.bars",
    )
    return {f"{row[0]} {row[1]}": [*map(from_numeric, row[2:10]), *row[10:]] for row in found}


def _output_id(row: tuple[Any, ...]) -> str:
    return ":".join(map(str, row[:3]))


def _scaled(value: Any) -> int | None:
    return None if value is None else from_numeric(value)


@dataclass
class Cached:
    """Accounts in Redis, as JSON objects by account, by trade and by order."""

    balances: dict[str, dict[str, Any]]
    trades: dict[str, dict[str, Any]]
    orders: dict[str, dict[str, Any]]


def read_cache(stack: Stack) -> Cached:
    with redis.Redis.from_url(stack.settings.cache_url, decode_responses=True) as client:
        balances = {
            key.removeprefix("balance:"): msgspec.json.decode(text)
            for key in client.scan_iter("balance:*", count=1000)
            if (text := client.get(key))
        }
        return Cached(balances, _hash_fields(client, "trades"), _hash_fields(client, "orders"))


def _hash_fields(client: Any, kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: msgspec.json.decode(text)
        for key in client.scan_iter(f"{kind}:*", count=1000)
        for name, text in client.hgetall(key).items()
    }
