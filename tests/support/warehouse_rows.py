"""Fills Postgres as a running platform does: a real engine with seeded messages, the real writer, snapshots
and bars. There is no Kafka: effects are passed to the writer directly.

    platform = SimulatedPlatform(url, shards=2)
    platform.trade(first_day, days=3, seed=7)
    platform.store()
"""

import asyncio
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Any

import psycopg

from paceline.adapters.postgres.connections.worker import WorkerConnection
from paceline.adapters.postgres.operations import snapshots
from paceline.core.ids import shard_of
from paceline.core.money import SCALE
from paceline.core.times import DAY_US, MINUTE_US, SECOND_US, day_bounds_us
from paceline.domain.operations.readers import OffsetRange
from paceline.engine import Engine
from paceline.messages.inbound import (
    USER_TYPES,
    CloseTrade,
    ConfigureMarket,
    CreateTrade,
    Deposit,
    Inbound,
    OpenAccount,
    PlaceOrder,
    PriceUpdate,
    Withdraw,
)
from paceline.messages.log_form import encode_effects
from paceline.messages.outbound import ClosedOrder, Effect, OrderResponse
from stream.writer.service import WriterOpener
from tests.support.servers import as_role

BTC, ETH = "BTC_USDC_PERP", "ETH_USDC_PERP"
MARKETS = {BTC: ("BTC", 60_000 * SCALE), ETH: ("ETH", 3_000 * SCALE)}
ACCOUNTS = [f"{number:020x}" for number in range(0xA0, 0xA6)]
NAMES = ["Ada", "Bo", "Cy", "Di", "Ed", "Flo"]


@dataclass
class _Record:
    offset: int
    value: bytes


class SimulatedPlatform:
    """Engine shards and the database that stores their effects."""

    def __init__(self, url: str, shards: int = 2) -> None:
        self.url = url
        self.engines = [Engine(shard) for shard in range(shards)]
        self.effects: list[list[Effect]] = [[] for _ in range(shards)]
        self.offsets = [0] * shards
        self.bars: dict[tuple[str, int], list[int]] = {}
        self.open: dict[str, list[str]] = {account: [] for account in ACCOUNTS}
        self.prices = {symbol: first for symbol, (_, first) in MARKETS.items()}
        self.now_us = 0
        self.ids = 0

    def send(self, message: Inbound) -> list[Any]:
        """Apply a message on its shards; returns the outputs of a user's instruction."""
        answers: list[Any] = []
        user = isinstance(message, USER_TYPES)
        shards = [shard_of(message.account, len(self.engines))] if user else range(len(self.engines))  # type: ignore[union-attr]
        for shard in shards:
            engine = self.engines[shard]
            position = engine.position
            answers = engine.apply(message)
            if answers or not isinstance(message, PriceUpdate):
                self.effects[shard].append(Effect(position, engine.log_time, message, answers))
            self._note(answers)
        return answers

    def _note(self, outputs: list[Any]) -> None:
        for output in outputs:
            if isinstance(output, ClosedOrder) and output.trade and not output.remaining:
                self.open[output.account].remove(output.trade)

    def name(self) -> str:
        self.ids += 1
        return f"i{self.ids}"

    def start(self, day: date) -> None:
        """Configure markets, set first prices and open accounts at the start of the day."""
        self.now_us = day_bounds_us(day)[0] + SECOND_US
        for symbol, (base, _) in MARKETS.items():
            rates = (2, 5, 50)
            self.send(
                ConfigureMarket(
                    self.name(), self.now_us, symbol, base, 1000, 5 * SCALE, 50, *rates, 2 * DAY_US
                )
            )
        for symbol in MARKETS:
            self.tick(symbol, self.prices[symbol])
        for account in ACCOUNTS[:-1]:
            self.send(OpenAccount(self.name(), self.now_us, account, 5_000 * SCALE))

    def tick(self, symbol: str, price: int) -> None:
        """Send a price update and update its bar. The ask is one dollar above the bid."""
        self.prices[symbol] = price
        self.ids += 1
        ask = price + SCALE
        self.send(PriceUpdate(f"p{self.ids}", self.now_us, symbol, price, SCALE, ask, SCALE, self.ids))
        minute = self.now_us - self.now_us % MINUTE_US
        bar = self.bars.setdefault((symbol, minute), [price, price, price, price, 0, 0])
        bar[1], bar[2], bar[3] = max(bar[1], price), min(bar[2], price), price
        bar[4:] = [bar[4] + 1, self.ids]

    def trade(self, first_day: date, days: int, seed: int = 7, step_minutes: int = 20) -> None:
        """Seeded trading of all accounts, until five minutes after the last day."""
        rng = Random(seed)
        self.start(first_day)
        end_us = day_bounds_us(first_day)[0] + days * DAY_US + 5 * MINUTE_US
        late = self.now_us + DAY_US // 2
        while self.now_us < end_us:
            self.now_us += step_minutes * MINUTE_US // 2 + rng.randrange(SECOND_US)
            for symbol in MARKETS:
                drift = rng.randrange(-60, 62)
                self.tick(symbol, self.prices[symbol] * (10_000 + drift) // 10_000)
            self.now_us += rng.randrange(1, 30 * SECOND_US)
            self._act(rng)
            if late and self.now_us > late:
                self.send(OpenAccount(self.name(), self.now_us, ACCOUNTS[-1], 1_000 * SCALE))
                late = 0

    def _act(self, rng: Random) -> None:
        account = rng.choice(ACCOUNTS)
        choice = rng.random()
        if choice < 0.45:
            self.create(account, rng)
        elif choice < 0.75 and self.open[account]:
            part = None if rng.random() < 0.6 else rng.randrange(1, 40) * 100_000
            trade = rng.choice(self.open[account])
            self.send(CloseTrade(self.name(), self.now_us, account, trade, part))
        elif choice < 0.9:
            side = rng.choice(("buy", "buy", "sell"))
            quantity = rng.randrange(1, 9) * 100_000
            order = PlaceOrder(
                self.name(), self.now_us, account, rng.choice((BTC, ETH)), side, "market", quantity
            )
            self.send(order)
        elif choice < 0.96:
            self.send(Deposit(self.name(), self.now_us, account, rng.randrange(1, 500) * SCALE))
        else:
            self.send(Withdraw(self.name(), self.now_us, account, rng.randrange(1, 200) * SCALE))

    def create(self, account: str, rng: Random) -> None:
        symbol = rng.choice((BTC, ETH))
        side = rng.choice(("long", "short"))
        price = self.prices[symbol]
        gap = price // 80
        stops = (price - gap, price + gap) if side == "long" else (price + gap, price - gap)
        margin, leverage = rng.randrange(20, 300) * SCALE, rng.choice((2, 5, 20, 40))
        message = CreateTrade(self.name(), self.now_us, account, symbol, side, margin, leverage, *stops)
        for output in self.send(message):
            if isinstance(output, OrderResponse) and output.trade:
                self.open[account].append(output.trade)

    def store(self) -> None:
        """Store all that a nightly run reads: effects, a snapshot of each shard, bars and members."""
        asyncio.run(self._store())
        self._store_bars()

    async def _store(self) -> None:
        writer = WriterOpener(as_role(self.url, "writer"), len(self.engines))
        session = WorkerConnection(as_role(self.url, "writer"), "test")
        await writer.start()
        for shard, engine in enumerate(self.engines):
            capture = engine.begin_capture()
            chunks = [snapshots.chunk_of(data) for data in capture.slices(3)]
            self._deposit_after_snapshot(shard)
            opened = await writer.open(shard, OffsetRange(0, self.offsets[shard]))
            await opened.handle([_Record(self.offsets[shard], encode_effects(self.effects[shard]))])
            await opened.tick()
            self.offsets[shard] += 1
            self.effects[shard] = []
            head = snapshots.SnapshotHead(
                shard, capture.position, 0, capture.log_time, capture.hash, 1, "test"
            )
            await session.transaction(lambda c, h=head, parts=chunks: snapshots.store(c, h, parts, {}))
        await writer.stop()
        await session.close()

    def _deposit_after_snapshot(self, shard: int) -> None:
        """Send one more deposit, so that the writer is past the snapshot and has rows after the cut."""
        account = next(name for name in ACCOUNTS if shard_of(name, len(self.engines)) == shard)
        self.send(Deposit(self.name(), self.now_us, account, SCALE))

    def log_ends(self) -> dict[int, int]:
        """Number of `engine.out` records by shard, as Kafka would report it."""
        return dict(enumerate(self.offsets))

    def _store_bars(self) -> None:
        rows = []
        for (symbol, minute), bar in self.bars.items():
            bids = [f"{price}e-8" for price in bar[:4]]
            asks = [f"{price + SCALE}e-8" for price in bar[:4]]
            rows.append((symbol, minute, *bids, *asks, *bar[4:]))
        with psycopg.connect(self.url) as connection:
            connection.execute(
                "insert into engine.readers (reader, shard, next_position) values ('bars', 0, %s) "
                "on conflict (reader, shard) do update set next_position = excluded.next_position",
                (self.engines[0].position,),
            )
            connection.cursor().executemany(
                "insert into market.bars (symbol, minute_us, bid_open, bid_high, bid_low, bid_close, "
                "ask_open, ask_high, ask_low, ask_close, updates, last_update_id) "
                "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (symbol, "
                "minute_us) do update "
                "set (bid_high, bid_low, bid_close, ask_high, ask_low, ask_close, updates, last_update_id) = "
                "(excluded.bid_high, excluded.bid_low, excluded.bid_close, excluded.ask_high, "
                "excluded.ask_low, "
                "excluded.ask_close, excluded.updates, excluded.last_update_id)",
                rows,
            )
            for account, name in zip(ACCOUNTS[:-1], NAMES, strict=False):
                connection.execute(
                    "insert into community.users (id, email, account, display_name) "
                    "values (gen_random_uuid(), %s, %s, %s) on conflict (account) do nothing",
                    (f"{name.lower()}@example.org", account, name),
                )
