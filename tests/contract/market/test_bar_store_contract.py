"""What `BarStore` and `BarDraft` promise: bars and their reader's position move together, or not at all."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from paceline.adapters.postgres.market.bars import PostgresBars
from paceline.adapters.postgres.numbers import from_numeric
from paceline.core.errors import TransientError
from paceline.core.times import MINUTE_US
from paceline.domain.market.bars import Bar, PriceRange
from paceline.domain.operations.readers import ReaderPosition
from paceline.ports.market import BarDraft, BarStore
from tests.support.fakes.market.bars import FakeBars
from tests.support.fakes.store import make_unavailable
from tests.support.servers import as_role

START = ReaderPosition(0, 0)
FIRST = ReaderPosition(10, 3)
SECOND = ReaderPosition(25, 7)


def part(
    last_update_id: int, *prices: int, minute: int = 0, symbol: str = "BTC", updates: int | None = None
) -> Bar:
    """Of these bids; each ask is ten above its bid."""
    bid = PriceRange(prices[0], max(prices), min(prices), prices[-1])
    ask = PriceRange(prices[0] + 10, max(prices) + 10, min(prices) + 10, prices[-1] + 10)
    return Bar(symbol, minute * MINUTE_US, bid, ask, updates or len(prices), last_update_id)


@dataclass
class Subject:
    store: BarStore
    stored: Callable[[], list[Bar]]


def by_minute(bar: Bar) -> tuple[int, str]:
    return bar.minute_us, bar.symbol


@pytest.fixture(params=["fake", "postgres"])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    if request.param == "fake":
        fake = FakeBars()
        yield Subject(fake, lambda: sorted(fake.stored.values(), key=by_minute))
        return
    url = request.getfixturevalue("fresh_database")()
    store = PostgresBars(as_role(url, "writer"))
    yield Subject(store, lambda: _rows(url))
    await store.close()


def _rows(url: str) -> list[Bar]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("select * from market.bars order by minute_us, symbol").fetchall()
    return [_bar(*row[:12]) for row in rows]  # the times of the row are not of the bar


def _bar(symbol: str, minute_us: int, *rest: Any) -> Bar:
    sides = [from_numeric(value) for value in rest[:8]]
    return Bar(symbol, minute_us, PriceRange(*sides[:4]), PriceRange(*sides[4:]), *rest[8:])


async def test_at_first_there_are_no_bars_and_the_reader_begins(subject: Subject) -> None:
    found = await subject.store.load()
    assert (found.at, dict(found.last_update_ids)) == (START, {})


async def test_parts_are_merged_into_bars(subject: Subject) -> None:
    await subject.store.load()
    assert await subject.store.append([part(3, 50, 60, 40), part(9, 7, symbol="ETH")], START, FIRST)
    assert await subject.store.append([part(5, 70, 45), part(6, 1, minute=1)], FIRST, SECOND)
    merged = part(5, 50, 70, 40, 45, updates=5)
    assert subject.stored() == [merged, part(9, 7, symbol="ETH"), part(6, 1, minute=1)]
    found = await subject.store.load()
    assert (found.at, dict(found.last_update_ids)) == (SECOND, {"BTC": 6, "ETH": 9})
    assert dict(await subject.store.last_update_ids(0)) == {"BTC": 5, "ETH": 9}


async def test_nothing_is_stored_unless_the_reader_is_where_it_was_left(subject: Subject) -> None:
    await subject.store.load()
    assert await subject.store.append([part(3, 50)], START, FIRST)
    for was in (START, SECOND, ReaderPosition(10, 4), ReaderPosition(11, 3)):
        assert not await subject.store.append([part(8, 90)], was, SECOND)
    assert subject.stored() == [part(3, 50)]
    assert (await subject.store.load()).at == FIRST


async def test_a_part_that_was_merged_before_changes_nothing(subject: Subject) -> None:
    await subject.store.load()
    await subject.store.append([part(3, 50, 60)], START, FIRST)
    assert await subject.store.append([part(3, 50, 60), part(2, 99)], FIRST, SECOND)
    assert subject.stored() == [part(3, 50, 60)]


async def test_the_reader_moves_without_parts_too(subject: Subject) -> None:
    await subject.store.load()
    assert await subject.store.append([], START, FIRST)
    assert (await subject.store.load()).at == FIRST


async def test_numbers_of_64_bits_arrive_exactly(subject: Subject) -> None:
    await subject.store.load()
    large = part(2**63 - 1, 2**63 - 1, 1)
    await subject.store.append([large], START, FIRST)
    assert subject.stored() == [large]


async def test_a_draft_takes_the_place_of_all_bars_and_the_reader_goes_on_after_it(
    subject: Subject,
) -> None:
    await subject.store.load()
    await subject.store.append([part(3, 50, updates=7), part(9, 7, symbol="ETH")], START, FIRST)
    async with subject.store.draft() as draft:
        await draft.add([part(2, 50)])
        await draft.add([part(3, 60), part(4, 1, minute=1)])
        assert len(subject.stored()) == 2
        assert await draft.replace(None, SECOND) is None
    assert subject.stored() == [part(3, 50, 60), part(4, 1, minute=1)]
    assert (await subject.store.load()).at == SECOND
    assert not await subject.store.append([part(8, 1)], FIRST, SECOND)


async def test_a_draft_of_the_later_minutes_leaves_the_earlier_ones(subject: Subject) -> None:
    await subject.store.load()
    await subject.store.append([part(3, 50), part(5, 9, minute=1), part(8, 9, minute=2)], START, FIRST)
    async with subject.store.draft() as draft:
        await draft.add([part(4, 80), part(7, 6, minute=1)])
        assert await draft.replace(MINUTE_US, FIRST) is None
    assert subject.stored() == [part(4, 50, 80), part(7, 6, minute=1)]


async def test_a_reader_that_is_ahead_of_the_draft_keeps_its_bars(subject: Subject) -> None:
    await subject.store.load()
    await subject.store.append([part(3, 50)], START, SECOND)
    async with subject.store.draft() as draft:
        await draft.add([part(2, 1)])
        assert await draft.replace(None, FIRST) == SECOND
        assert subject.stored() == [part(3, 50)]
        await draft.add([part(3, 2)])
        assert await draft.replace(None, SECOND) is None
    assert subject.stored() == [part(3, 1, 2)]


async def test_a_draft_works_before_the_reader_ever_ran_and_drafts_share_nothing(subject: Subject) -> None:
    async with subject.store.draft() as draft, subject.store.draft() as other:
        drafts: list[BarDraft] = [draft, other]
        await drafts[1].add([part(9, 9)])
        assert await draft.replace(None, FIRST) is None
        assert subject.stored() == []
    assert (await subject.store.load()).at == FIRST


@pytest.mark.parametrize("kind", ["fake", "postgres"])
async def test_a_store_that_cannot_be_reached_is_reported(kind: str, unreachable_url: str) -> None:
    unavailable: BarStore = (
        make_unavailable(FakeBars()) if kind == "fake" else PostgresBars(unreachable_url, patience_s=0.1)
    )
    with pytest.raises(TransientError):
        await unavailable.load()
    with pytest.raises(TransientError):
        await unavailable.append([], START, FIRST)
    with pytest.raises(TransientError):
        await unavailable.last_update_ids(0)
    with pytest.raises(TransientError):
        async with unavailable.draft():
            pass
