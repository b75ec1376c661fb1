"""Runs a drill: stack, load, acts, wait for rest, evidence, checks."""

import asyncio
import json
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from paceline.adapters.kafka.log_ends import LogEndReader
from paceline.adapters.kafka.topics import ENGINE_IN
from paceline.core.errors import AppError
from paceline.domain.operations.readers import READERS
from paceline.drill import checks, evidence
from paceline.drill.hits import ActResult, NotRecovered, carry_out, silent_exchange
from paceline.drill.load import MEMBERS, Load
from paceline.drill.report import Report, as_json, progress
from paceline.drill.schedule import Act
from paceline.local.stack.throwaway import Stack, throwaway_stack

_AT_REST_WITHIN_S: Final = 90.0
_POLL_S: Final = 0.5
_PROGRESS_EVERY_S: Final = 10.0
_ATTEMPTS: Final = 10
_WITHOUT: Final = ("airflow", "traders", "docs")


@dataclass(frozen=True)
class Plan:
    """`lanes` carry out `acts` at the same time, until there are no more or `seconds` have passed."""

    seed: int
    acts: Iterator[Act]
    seconds: float | None
    lanes: int
    orders_hz: float
    ticks_hz: int
    keep: Path | None
    say: Callable[[str], None]


CheckedEvidence = tuple[
    dict[tuple[str, str], checks.LoggedInstruction], list[evidence.ShardEvidence], list[checks.Check]
]


class NotAtRest(AppError):
    """The log does not come to rest."""

    default_code = "NOT_QUIET"


def run(plan: Plan) -> Report:
    """Run a drill. If it fails, its evidence is copied to `plan.keep`."""
    environment = {
        "PACELINE_SNAPSHOT_INTERVAL_S": "3",
        "PACELINE_EXCHANGE_RATE_HZ": str(plan.ticks_hz),
        "PACELINE_EXCHANGE_SEED": str(plan.seed),
        "PACELINE_INITIAL_BALANCE_USD": "1000000",
        "PACELINE_RESTART_PAUSE_S": "1",
        "PACELINE_SIGN_IN_RATE_PER_MINUTE": str(100 * MEMBERS),
    }
    arguments = [word for name in _WITHOUT for word in ("--without", name)]
    with throwaway_stack(arguments, environment) as stack:
        plan.say(f"The stack is up after {stack.healthy_after_s:.0f} s, in {stack.folder}.")
        folder = stack.folder / "evidence"
        folder.mkdir()
        passed = False
        try:
            report = asyncio.run(Drill(stack, plan, folder).run())
            (folder / "report.json").write_text(json.dumps(as_json(report), indent=1))
            passed = report.passed
            return report
        finally:
            if not passed and plan.keep is not None:
                _keep_evidence(stack, folder, plan.keep)
                plan.say(f"Evidence is in {plan.keep}.")


def _keep_evidence(stack: Stack, folder: Path, target: Path) -> None:
    """Copy the evidence and the services' logs; what an earlier drill left in this folder is removed."""
    shutil.rmtree(target / "evidence", ignore_errors=True)
    shutil.rmtree(target / "log", ignore_errors=True)
    shutil.copytree(folder, target / "evidence")
    shutil.copytree(stack.settings.var_dir / "log", target / "log")
    shutil.copy(stack.folder / "up.log", target / "up.log")


class Drill:
    def __init__(self, stack: Stack, plan: Plan, folder: Path) -> None:
        self._stack = stack
        self._plan = plan
        self._folder = folder
        self._load = Load(stack.settings, plan.seed, plan.orders_hz)
        self._hits: list[ActResult] = []
        self._busy: set[str] = set()
        self._postponed: list[Act] = []
        self._began = 0.0
        self._stopped_by: str | None = None

    async def run(self) -> Report:
        began_at = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            await self._load.sign_in()
            self._began = time.monotonic()
            loading = asyncio.create_task(self._load.run())
            try:
                await self._act_until_done()
            finally:
                self._load.stop()
                seconds = time.monotonic() - self._began
            await loading
            self._plan.say("Load and acts have ended. Waiting until the log comes to rest.")
            with silent_exchange(self._stack):
                words, shards, results = await self._results_at_rest()
        finally:
            await self._load.close()
            self._write_records()
        return Report(
            seed=self._plan.seed,
            began_at=began_at,
            seconds=round(seconds, 1),
            sent=dict(self._load.outcomes()),
            kinds=_count(sent.kind for sent in self._load.sent),
            held_back=self._load.held_back,
            repeated=sum(len(word.times) > 1 for word in words.values()),
            copies=sum(shard.out_copies for shard in shards),
            hits=self._hits,
            checks=results,
            stopped_by=self._stopped_by,
        )

    async def _act_until_done(self) -> None:
        """Run all lanes at once; the first service that does not recover ends them."""
        reporting = asyncio.create_task(self._report_progress())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._plan.lanes):
                    group.create_task(self._lane())
        except* NotRecovered as errors:
            self._stopped_by = str(errors.exceptions[0])
            self._plan.say(self._stopped_by)
        finally:
            reporting.cancel()

    async def _lane(self) -> None:
        while self._time_is_left():
            act = self._next_act()
            if act is None:
                if not self._postponed:
                    return
                await asyncio.sleep(_POLL_S)
                continue
            self._busy.add(act.service)
            try:
                self._hits.append(await carry_out(self._stack, self._load, act))
            finally:
                self._busy.discard(act.service)
            await asyncio.sleep(act.rest_s)

    def _time_is_left(self) -> bool:
        return self._plan.seconds is None or time.monotonic() - self._began < self._plan.seconds

    def _next_act(self) -> Act | None:
        """The next act on a service that no other lane is busy with; acts before it are postponed."""
        for act in self._postponed:
            if act.service not in self._busy:
                self._postponed.remove(act)
                return act
        for act in self._plan.acts:
            if act.service not in self._busy:
                return act
            self._postponed.append(act)
        return None

    async def _report_progress(self) -> None:
        while True:
            await asyncio.sleep(_PROGRESS_EVERY_S)
            elapsed_s = time.monotonic() - self._began
            self._plan.say(progress(self._hits, self._load.outcomes(), elapsed_s))

    async def _results_at_rest(self) -> CheckedEvidence:
        """Run the checks; none if the log does not come to rest, because nothing can be compared then."""
        try:
            return await self._results()
        except NotAtRest as error:
            self._stopped_by = f"{self._stopped_by}; {error}" if self._stopped_by else str(error)
            return {}, [], []

    async def _results(self) -> CheckedEvidence:
        await self._wait_until(self._at_rest, "the log does not come to rest after the load")
        await self._settle_open_instructions()
        await self._wait_until(self._at_rest, "the log does not come to rest at the end")
        shards = [
            await evidence.collect(self._stack, shard, self._folder)
            for shard in range(self._stack.settings.engine_shards)
        ]
        sent, words = self._load.sent, checks.logged_instructions(shards)
        shown = {name: await self._load.shown(name, "/account/balance") for name in self._load.participants}
        stack = self._stack
        results = [
            checks.one_answer_each(shards),
            checks.outputs_match_replay(shards),
            checks.all_logged_were_sent(sent, words),
            checks.carried_out_once(words),
            checks.answers_match_log(sent, words),
            checks.pending_found_later(sent, words),
            checks.all_settled(sent),
            checks.refused_not_logged(sent, words),
            checks.no_unexpected_answers(sent),
            checks.stored_answers_are(shards, evidence.stored_answers(stack)),
            checks.stored_closed_orders_are(shards, evidence.stored_closed_orders(stack)),
            checks.stored_balances_are(shards, evidence.stored_balances(stack)),
            checks.stored_bars_are(evidence.bars_of(self._folder), evidence.stored_bars(stack)),
            checks.ledger_sums_to_zero(shards),
            checks.hashes_agree(shards),
            checks.redis_matches_engine(shards, evidence.read_cache(stack)),
            checks.api_balances_match(shards, shown),
        ]
        return words, shards, results

    async def _settle_open_instructions(self) -> None:
        """Look up instructions without an answer; those that are not found are sent again under their key."""
        for sent in self._load.sent:
            if sent.outcome not in ("pending", "lost"):
                continue
            for _ in range(_ATTEMPTS):
                sent.looked_up = await self._load.look_up(sent)
                if sent.looked_up.outcome not in ("refused", "unreachable", "lost"):
                    break
                await asyncio.sleep(1)
            for _ in range(_ATTEMPTS):
                if sent.looked_up is None or sent.looked_up.final or sent.attempts[-1].final:
                    break
                sent.attempts.append(await self._load.ask(sent))

    async def _wait_until(self, holds: Callable[[], Awaitable[bool]], failure: str) -> None:
        deadline = time.monotonic() + _AT_REST_WITHIN_S
        while not await holds():
            if time.monotonic() > deadline:
                raise NotAtRest(failure)
            await asyncio.sleep(_POLL_S)

    async def _at_rest(self) -> bool:
        """Whether the engine's snapshots and all readers have reached the ends of their logs."""
        reader = LogEndReader(self._stack.settings.kafka, self._stack.settings.engine_shards)
        try:
            ends = await reader.ends()
        finally:
            await reader.stop()
        snapshots = "select shard, max(next_offset) from engine.snapshots where complete group by shard"
        readers = "select reader, shard, next_offset from engine.readers"
        stored = dict(evidence.rows(self._stack, snapshots))
        offsets = {(reader, shard): offset for reader, shard, offset in evidence.rows(self._stack, readers)}
        return stored == ends[ENGINE_IN] and all(
            offsets.get((reader, shard)) == ends[reads.topic][shard]
            for reader, reads in READERS.items()
            if reader != "engine"
            for shard in reads.shards(self._stack.settings.engine_shards)
        )

    def _write_records(self) -> None:
        lines = [msgspec.json.encode(sent) + b"\n" for sent in self._load.sent]
        (self._folder / "sent.jsonl").write_bytes(b"".join(lines))
        lines = [msgspec.json.encode(hit) + b"\n" for hit in self._hits]
        (self._folder / "hits.jsonl").write_bytes(b"".join(lines))


def _count(kinds: Iterator[str]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for kind in kinds:
        counted[kind] = counted.get(kind, 0) + 1
    return counted
