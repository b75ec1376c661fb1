"""Contract of `AccountState`: the newest state from the engine, or None when it is not known."""

import asyncio
from collections.abc import Iterator

import pytest
import redis

from paceline.adapters.postgres.trading.account_state import PostgresAccountState
from paceline.adapters.redis.client import SyncRedis
from paceline.adapters.redis.trading.account_state import RedisAccountState
from paceline.core.errors import TransientError
from paceline.ports.trading import AccountState, Balance, OpenTrade, RestingOrder
from stream.router.service import RouterOpener
from tests.support.fakes.store import make_unavailable
from tests.support.fakes.trading.account_state import FakeAccountState
from tests.support.servers import as_role
from tests.support.sinks import route, write_days
from tests.support.small_day import BTC, balances_of, small_day

TRADE = OpenTrade(
    trade="0:11:0", symbol=BTC, side="long", leverage=10, entry="101", quantity="9.90099", margin="100",
    opened=9, fee="0.5", stop_loss="95", take_profit="200", liquidation="91.4049999",
)  # fmt: skip
ORDER = RestingOrder(
    order="0:12:0", symbol=BTC, side="buy", order_type="limit", quantity="1", opened=10, price="50"
)


def fake() -> FakeAccountState:
    state = FakeAccountState()
    state.balances = balances_of(small_day())
    state.trades["ada"], state.orders["ada"] = [TRADE], [ORDER]
    return state


async def fill_redis(postgres_url: str, redis_url: str) -> None:
    router = RouterOpener(as_role(postgres_url, "writer"), redis_url, 1)
    await route(router, small_day().records(1))
    await router.stop()


@pytest.fixture(scope="module", params=["fake", "postgres", "redis"])
def state(request: pytest.FixtureRequest) -> Iterator[AccountState]:
    if request.param == "fake":
        yield fake()
        return
    if request.param == "postgres":
        write_days(request.getfixturevalue("postgres_url"), small_day())
        yield PostgresAccountState(request.getfixturevalue("pool"))
        return
    redis_url = request.getfixturevalue("redis_url")
    asyncio.run(fill_redis(request.getfixturevalue("fresh_database")(), redis_url))
    client = SyncRedis(redis_url, 100)
    yield RedisAccountState(client, 1)
    client.close()


def test_balance_returns_the_newest_one(state: AccountState) -> None:
    found = state.balance("ada")
    assert found == balances_of(small_day())["ada"]
    assert found is not None
    assert (found.margin, found.locked) == ("100", "50.025")
    assert state.balance("bob") == Balance(account="bob", time=3, cash="1000", margin="0", locked="0")


def test_open_trades_have_their_remaining_quantity_and_closed_ones_are_absent(state: AccountState) -> None:
    assert state.open_trades("ada") == [TRADE]
    assert state.open_trades("bob") == []


def test_only_resting_orders_are_returned(state: AccountState) -> None:
    assert state.resting_orders("ada") == [ORDER]
    assert state.resting_orders("bob") == []


def test_an_unknown_account_has_no_balance(state: AccountState) -> None:
    assert state.balance("unknown") is None


@pytest.mark.parametrize("kind", ["fake", "redis"])
def test_incomplete_state_returns_none(kind: str, request: pytest.FixtureRequest) -> None:
    """Postgres is never incomplete: the writer stores all rows of an effect in one transaction."""
    partial: AccountState = FakeAccountState(complete=False)
    if kind == "redis":
        url = request.getfixturevalue("redis_url")
        with redis.Redis.from_url(url) as client:
            client.delete("router:ready")
            client.set("router:state_from:0", 10**9)
        client = SyncRedis(url, 100)
        request.addfinalizer(client.close)
        partial = RedisAccountState(client, 1)
    for found in (partial.balance("ada"), partial.open_trades("ada"), partial.resting_orders("ada")):
        assert found is None


def test_a_balance_newer_than_the_rebuild_is_returned_during_the_rebuild(
    state: AccountState, request: pytest.FixtureRequest
) -> None:
    """A member whose instruction is answered during a rebuild of Redis reads their own write."""
    if isinstance(state, RedisAccountState):
        with redis.Redis.from_url(request.getfixturevalue("redis_url")) as client:
            client.delete("router:ready")
            client.set("router:state_from:0", 0)
            assert state.balance("ada") == balances_of(small_day())["ada"]
            assert state.open_trades("ada") is None
            client.set("router:ready", 1)
    assert state.balance("ada") == balances_of(small_day())["ada"]


@pytest.mark.parametrize("kind", ["fake", "postgres", "redis"])
def test_an_unavailable_store_raises_transient_error(kind: str, request: pytest.FixtureRequest) -> None:
    unavailable: AccountState = make_unavailable(FakeAccountState())
    if kind == "postgres":
        unavailable = PostgresAccountState(request.getfixturevalue("unreachable_pool"))
    elif kind == "redis":
        unavailable = RedisAccountState(SyncRedis(request.getfixturevalue("unreachable_redis_url"), 100), 1)
    for ask in (unavailable.balance, unavailable.open_trades, unavailable.resting_orders):
        with pytest.raises(TransientError):
            ask("ada")
