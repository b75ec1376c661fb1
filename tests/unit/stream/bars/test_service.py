"""The reader of bars: what it appends, when, and what it does where another process moved it."""

from dataclasses import dataclass

import pytest

from paceline.core.errors import PermanentError
from paceline.core.times import MINUTE_US
from paceline.domain.operations.readers import OffsetRange, ReaderPosition
from paceline.messages.inbound import Inbound, PriceUpdate
from paceline.messages.log_form import encode_messages
from stream.bars import service
from stream.bars.service import BarsOpener, BarsShard
from stream.runtime.log_service import ReopenShard
from tests.support.fakes.market.bars import FakeBars

BOUNDS = OffsetRange(0, 100)


@dataclass
class Record:
    offset: int
    value: bytes


def price(number: int) -> PriceUpdate:
    return PriceUpdate("p", number * MINUTE_US // 4, "BTC", 10 + number, 1, 20 + number, 1, number)


def records(first: int, *batches: list[Inbound]) -> list[Record]:
    return [Record(first + n, encode_messages(batch)) for n, batch in enumerate(batches)]


async def opened(store: FakeBars) -> BarsShard:
    return await BarsOpener(store).open(0, BOUNDS)


async def test_parts_and_position_are_stored_together_at_the_tick_that_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = FakeBars()
    shard = await opened(store)
    await shard.handle(records(0, [price(0), price(1)], [price(2)]))
    await shard.tick()
    assert (shard.next_offset, store.at, store.stored) == (2, ReaderPosition(0, 0), {})
    assert shard.health() == {"next_position": 0, "next_offset": 0}
    monkeypatch.setattr(service, "_STORE_EVERY_S", 0.0)
    await shard.tick()
    assert store.at == ReaderPosition(3, 2)
    assert [bar.updates for bar in store.stored.values()] == [3]
    assert shard.health() == {"next_position": 3, "next_offset": 2}


@pytest.mark.parametrize("bound", ["_MOST_PARTS", "_MOST_MESSAGES"])
async def test_batches_are_bounded(monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(service, bound, 2)
    store = FakeBars()
    shard = await opened(store)
    await shard.handle(records(0, [price(0), price(4)], [price(8)]))
    assert store.at == ReaderPosition(2, 1)


async def test_what_is_left_is_stored_at_the_end_even_without_a_price() -> None:
    store = FakeBars()
    shard = await opened(store)
    await shard.handle(records(0, [price(0)]))
    await shard.close()
    await shard.handle(records(1, [price(0)]))
    await shard.close()
    assert (store.at, [bar.updates for bar in store.stored.values()]) == (ReaderPosition(2, 2), [1])


async def test_of_two_owners_one_opens_again_and_nothing_counts_twice() -> None:
    store = FakeBars()
    first, second = await opened(store), await opened(store)
    log = records(0, [price(0)], [price(1)], [price(2)])
    await first.handle(log[:2])
    await second.handle(log)
    await second.close()
    with pytest.raises(ReopenShard, match="are no longer at position 0"):
        await first.close()
    again = await opened(store)
    assert again.next_offset == 3
    assert [bar.updates for bar in store.stored.values()] == [3]


async def test_prices_in_bars_that_were_stored_before_the_reader_began_count_once() -> None:
    store = FakeBars()
    shard = await opened(store)
    await shard.handle(records(0, [price(0), price(1)]))
    await shard.close()
    store.at = ReaderPosition(0, 0)
    shard = await opened(store)
    await shard.handle(records(0, [price(0), price(1)], [price(2)]))
    await shard.close()
    assert [bar.updates for bar in store.stored.values()] == [3]


async def test_a_log_that_was_cut_before_the_reader_is_refused() -> None:
    with pytest.raises(PermanentError, match=r"bars is at offset 0 of engine\.in, shard 0"):
        await BarsOpener(FakeBars()).open(0, OffsetRange(5, 9))
