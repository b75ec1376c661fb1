"""A rebuild gives the bars that an undisturbed reader makes, and loses none that arrive meanwhile."""

from collections.abc import Sequence

import pytest

from paceline.core.errors import TransientError
from paceline.core.times import MINUTE_US
from paceline.domain.market.bars import BarMaker
from paceline.domain.operations.readers import ReaderPosition
from paceline.messages.inbound import Deposit, Inbound, PriceUpdate
from paceline.usecases.market.rebuild_bars import Rebuilt, rebuild_bars
from tests.support.fakes.market.bars import FakeBars, FakeHistory
from tests.support.fakes.store import make_unavailable


def price(number: int, symbol: str = "BTC") -> PriceUpdate:
    """Four a minute."""
    return PriceUpdate("p", number * MINUTE_US // 4, symbol, 10 + number % 7, 1, 30 - number % 5, 1, number)


RECORDS: list[list[Inbound]] = [[price(n), price(n, "ETH")] for n in range(20)]


async def stored(records: Sequence[Sequence[Inbound]]) -> FakeBars:
    """As the reader has them that missed nothing."""
    store, maker = FakeBars(), BarMaker({})
    for record in records:
        maker.add(record)
    await store.append(maker.take(), store.at, ReaderPosition(sum(map(len, records)), len(records)))
    return store


async def rebuild(history: FakeHistory, store: FakeBars) -> Rebuilt:
    return await rebuild_bars(history, store, lambda *_: None)


async def test_all_bars_are_made_again_whatever_was_stored() -> None:
    whole = await stored(RECORDS)
    store = await stored(RECORDS[:7])
    store.stored.popitem()
    for bar in store.stored.values():
        bar.updates += 1
    rebuilt = await rebuild(FakeHistory(*RECORDS), store)
    assert store.stored == whole.stored
    assert rebuilt == Rebuilt(40, 10, None, ReaderPosition(40, 20))
    assert store.at == rebuilt.at


async def test_of_a_log_that_was_cut_older_bars_stay_and_the_first_minute_is_completed() -> None:
    whole = await stored(RECORDS)
    store = await stored(RECORDS)
    lost_bars = [key for key in store.stored if key[1] >= 2 * MINUTE_US]
    for key in lost_bars:
        del store.stored[key]
    store.stored["BTC", MINUTE_US].updates -= 1
    store.stored["BTC", MINUTE_US].last_update_id -= 1
    rebuilt = await rebuild(FakeHistory(*RECORDS, cut=6), store)
    assert rebuilt.from_us == 2 * MINUTE_US
    assert rebuilt.at == ReaderPosition(40, 20)
    assert store.stored == whole.stored


async def test_a_cut_log_without_prices_replaces_nothing_and_moves_the_reader() -> None:
    store = await stored(RECORDS)
    before = dict(store.stored)
    history = FakeHistory(*RECORDS, [Deposit("d", 1, "ada", 1)], cut=20)
    assert (await rebuild(history, store)).at == ReaderPosition(41, 21)
    assert store.stored == before


async def test_an_empty_log_gives_no_bars() -> None:
    store = FakeBars()
    assert await rebuild(FakeHistory(), store) == Rebuilt(0, 0, None, ReaderPosition(0, 0))


async def test_what_arrives_while_it_reads_is_read_until_the_reader_is_not_ahead() -> None:
    store = await stored(RECORDS)  # the reader is at the end already
    rebuilt = await rebuild(FakeHistory(*RECORDS[:12], arrives=RECORDS[12:]), store)
    assert rebuilt.at == ReaderPosition(40, 20)
    assert store.stored == (await stored(RECORDS)).stored


async def test_a_reader_that_is_always_ahead_ends_the_rebuild_with_nothing_changed() -> None:
    store = await stored(RECORDS)
    before = dict(store.stored)
    with pytest.raises(TransientError, match="ahead of the rebuild"):
        await rebuild(FakeHistory(*RECORDS[:12]), store)
    assert (store.stored, store.at) == (before, ReaderPosition(40, 20))


async def test_progress_is_reported_with_the_time_of_the_newest_price() -> None:
    seen: list[tuple[int, int]] = []
    await rebuild_bars(FakeHistory(*RECORDS[:5]), FakeBars(), lambda *at: seen.append(at))
    assert seen[0] == (0, 0)
    assert seen[-1] == (10, MINUTE_US)


async def test_a_store_that_cannot_be_reached_is_reported() -> None:
    with pytest.raises(TransientError):
        await rebuild(FakeHistory(*RECORDS), make_unavailable(FakeBars()))
