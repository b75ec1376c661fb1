"""What `ClosedOrders` promises: closed orders of an account, page by page."""

import pytest

from paceline.adapters.postgres.trading.closed_orders import PostgresClosedOrders
from paceline.core.errors import TransientError
from paceline.ports.trading import ClosedOrderRow, ClosedOrders
from tests.support.fakes.store import make_unavailable
from tests.support.fakes.trading.closed_orders import FakeClosedOrders
from tests.support.sinks import write_days
from tests.support.small_day import BTC, ETH, closed_of, small_day


@pytest.fixture(scope="module", params=["fake", "postgres"])
def orders(request: pytest.FixtureRequest) -> ClosedOrders:
    if request.param == "fake":
        fake = FakeClosedOrders()
        fake.closed["ada"] = closed_of(small_day(), "ada")
        return fake
    write_days(request.getfixturevalue("postgres_url"), small_day())
    return PostgresClosedOrders(request.getfixturevalue("pool"))


def closed(
    orders: ClosedOrders,
    account: str = "ada",
    *,
    symbol: str | None = None,
    between: tuple[int | None, int | None] = (None, None),
    offset: int = 0,
    limit: int = 10,
) -> tuple[list[ClosedOrderRow], int]:
    page = orders.closed_orders(
        account, symbol=symbol, from_us=between[0], to_us=between[1], offset=offset, limit=limit
    )
    return page.items, page.total


def test_closed_orders_come_whole_and_newest_first(orders: ClosedOrders) -> None:
    items, total = closed(orders)
    assert items == closed_of(small_day(), "ada")[::-1]
    assert [(item.closed, item.symbol, item.remaining) for item in items] == [
        (8, BTC, "0"),
        (6, ETH, "0"),
        (5, ETH, "8.0909"),
    ]
    assert total == 3


def test_closed_orders_come_in_pages(orders: ClosedOrders) -> None:
    everything, _ = closed(orders)
    assert closed(orders, offset=1, limit=1) == (everything[1:2], 3)
    assert closed(orders, offset=3) == ([], 3)


def test_closed_orders_are_narrowed(orders: ClosedOrders) -> None:
    everything, _ = closed(orders)
    assert closed(orders, symbol=ETH) == (everything[1:], 2)
    assert closed(orders, between=(6, 8)) == (everything[1:2], 1)
    assert closed(orders, "bob") == ([], 0)


@pytest.mark.parametrize("kind", ["fake", "postgres"])
def test_before_there_is_anything(kind: str, request: pytest.FixtureRequest) -> None:
    if kind == "fake":
        empty: ClosedOrders = FakeClosedOrders()
    else:
        database = request.getfixturevalue("fresh_database")()
        empty = PostgresClosedOrders(request.getfixturevalue("pool_of")(database))
    assert closed(empty) == ([], 0)


@pytest.mark.parametrize("kind", ["fake", "postgres"])
def test_an_unavailable_store_is_a_transient_error(kind: str, request: pytest.FixtureRequest) -> None:
    unavailable: ClosedOrders = (
        make_unavailable(FakeClosedOrders())
        if kind == "fake"
        else PostgresClosedOrders(request.getfixturevalue("unreachable_pool"))
    )
    with pytest.raises(TransientError):
        closed(unavailable)
