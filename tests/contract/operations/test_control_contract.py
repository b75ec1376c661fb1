"""Contract of `Control`: markets, accounts and their members over all shards, and open alerts."""

from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest
from msgspec.structs import replace

from paceline.adapters.postgres.operations.control import PostgresOperatorStore
from paceline.core.errors import TransientError
from paceline.core.money import SCALE
from paceline.core.times import DAY_US
from paceline.messages.inbound import (
    CloseTrade,
    CreateTrade,
    HaltAccount,
    HaltMarket,
    OpenAccount,
    PriceUpdate,
    ResumeAccount,
    ResumeMarket,
)
from paceline.ports.identity import Member
from paceline.ports.operations import Alert, OperatorAccount, OperatorMarket, OperatorStore
from tests.support.fakes.operations.control import FakeOperatorStore
from tests.support.fakes.store import make_unavailable
from tests.support.scenario_log import day
from tests.support.sinks import write_days
from tests.support.small_day import BTC, ETH, balances_of, market, price

EARLY, SOL = "EARLY_USDC_PERP", "SOL_USDC_PERP"
MEMBER = Member(uuid4(), "ada@example.com", "ada", "Ada", "member")
WITHOUT_ACCOUNT = Member(uuid4(), "cy@example.com", "cy", "Cy", "member")
# Shard 0: BTC is halted. ETH was halted and resumed. EARLY was halted before it was configured. SOL was
# configured again with another base.
FIRST = [
    market(BTC),
    market(ETH),
    market(SOL),
    price(BTC, 2, 100),
    OpenAccount("open-ada", 3, "ada", 5_000 * SCALE),
    CreateTrade("t1", 4, "ada", BTC, "long", 100 * SCALE, 10),
    CreateTrade("t2", 5, "ada", BTC, "long", 100 * SCALE, 10),
    CloseTrade("t1-end", 6, "ada", "0:5:0"),
    HaltMarket("halt-btc", 7, BTC),
    HaltMarket("halt-eth", 8, ETH),
    ResumeMarket("resume-eth", 9, ETH),
    HaltMarket("halt-early", 10, EARLY),
    market(EARLY, 11),
    HaltAccount("halt-ada", 12, "ada"),
    market(SOL, 13, base="ELSE", max_leverage=7),
]
# Shard 1 has BTC only, and not halted.
SECOND = [
    market(BTC),
    OpenAccount("open-bob", 4, "bob", 1_000 * SCALE),
    HaltAccount("halt-bob", 5, "bob"),
    ResumeAccount("resume-bob", 6, "bob"),
    HaltMarket("halt-nothing", 7, ETH),
    HaltMarket("twice", 8, ETH),
    ResumeMarket("twice", 9, ETH),
]
ADA = OperatorAccount(
    account="ada", shard=0, opened=3, halted=True, cash=balances_of(day(FIRST))["ada"].cash, margin="100",
    locked="0", open_trades=1, email="ada@example.com", display_name="Ada", role="member",
)  # fmt: skip
BOB = OperatorAccount(
    account="bob", shard=1, opened=4, halted=False, cash="1000", margin="0", locked="0",
    open_trades=0, email=None, display_name=None, role=None,
)  # fmt: skip


def seen(symbol: str, shards: list[int], halted: list[int], max_leverage: int = 100) -> OperatorMarket:
    """The first shard that has a market decides `halted`."""
    return OperatorMarket(
        symbol=symbol, base=symbol.partition("_")[0], quantity_step="0.00001", min_notional="5",
        max_leverage=max_leverage, maker_rate_bps=2, taker_rate_bps=5, maintenance_rate_bps=50,
        max_price_age_us=10 * DAY_US, halted=shards[0] in halted, shards=shards, halted_shards=halted,
    )  # fmt: skip


MARKETS = [seen(BTC, [0, 1], [0]), seen(EARLY, [0], []), seen(ETH, [0], []), seen(SOL, [0], [], 7)]
ALERTS = [
    Alert(key="worst", severity="critical", message="worst", since=5_000_000, times=2),
    Alert(key="bad-old", severity="warning", message="bad", since=1_000_000, times=1),
    Alert(key="bad-new", severity="warning", message="bad", since=3_000_000, times=1),
    Alert(key="good", severity="info", message="good", since=2_000_000, times=1),
]


def fake() -> FakeOperatorStore:
    control = FakeOperatorStore(*MARKETS[::-1])
    control.held = [replace(ADA, email=None, display_name=None, role=None), BOB]
    control.members = {member.email: member for member in (MEMBER, WITHOUT_ACCOUNT)}
    for shard, messages in enumerate((FIRST, SECOND)):
        control.taken += [(shard, one) for one in messages if not isinstance(one, PriceUpdate)]
    control.alerts = [ALERTS[3], ALERTS[2], ALERTS[0], ALERTS[1]]
    return control


def fill(url: str) -> None:
    write_days(url, day(FIRST), day(SECOND, shard=1))
    with psycopg.connect(url) as connection:
        for member in (MEMBER, WITHOUT_ACCOUNT):
            connection.execute(
                "insert into community.users (id, email, account, display_name) values (%s, %s, %s, %s)",
                (member.id, member.email, member.account, member.display_name),
            )
        for alert in [ALERTS[3], ALERTS[2], ALERTS[0], ALERTS[1]]:
            at = datetime.fromtimestamp(alert.since / 1e6, UTC)
            connection.execute(
                "insert into ops.alerts (key, severity, source, message, at, times) "
                "values (%s, %s, 'test', %s, %s, %s)",
                (alert.key, alert.severity, alert.message, at, alert.times),
            )
        connection.execute(
            "insert into ops.alerts (key, severity, source, message, recovered_at) values "
            "('over', 'critical', 'test', 'over', now()), (null, 'critical', 'gate:dbt', 'said once', null)"
        )


@pytest.fixture(scope="module", params=["fake", "postgres"])
def control(request: pytest.FixtureRequest) -> OperatorStore:
    if request.param == "fake":
        return fake()
    fill(request.getfixturevalue("postgres_url"))
    return PostgresOperatorStore(request.getfixturevalue("pool"), request.getfixturevalue("health"))


def test_markets_have_their_shards_and_halted_shards(control: OperatorStore) -> None:
    """A halt counts only after the market was configured. The base is the first one, as in the engine."""
    assert control.markets() == MARKETS


def test_account_returns_balance_and_member(control: OperatorStore) -> None:
    assert control.account("ada") == ADA
    assert control.account("bob") == BOB
    assert control.account("unknown") is None


def test_accounts_are_paged_newest_first(control: OperatorStore) -> None:
    everything = control.accounts(offset=0, limit=10)
    assert (everything.items, everything.total) == ([BOB, ADA], 2)
    second = control.accounts(offset=1, limit=1)
    assert (second.items, second.total) == ([ADA], 2)
    assert control.accounts(offset=2, limit=10).items == []


def test_account_of_ignores_the_case_of_the_email(control: OperatorStore) -> None:
    assert control.account_of("Ada@Example.com") == "ada"
    assert control.account_of("unknown@example.com") is None


def test_applied_returns_the_instruction_of_each_shard_that_has_it(control: OperatorStore) -> None:
    assert control.applied(market(BTC).id, None) == {0: market(BTC), 1: market(BTC)}
    assert control.applied("halt-nothing", None) == {1: HaltMarket("halt-nothing", 7, ETH)}
    assert control.applied("halt-bob", "bob") == {1: HaltAccount("halt-bob", 5, "bob")}
    assert control.applied("halt-bob", "ada") == {}
    assert control.applied("halt-bob", None) == {}
    assert control.applied("never", None) == {}


def test_applied_returns_the_first_of_two_instructions_with_one_id(control: OperatorStore) -> None:
    assert control.applied("twice", None) == {1: HaltMarket("twice", 8, ETH)}


def test_set_role_changes_a_member_and_reports_an_unknown_email(control: OperatorStore) -> None:
    assert control.set_role("ADA@example.com", "operator")
    assert control.account("ada") == replace(ADA, role="operator")
    assert control.set_role("ada@example.com", "member")
    assert control.account("ada") == ADA
    assert control.set_role("cy@example.com", "member")
    assert not control.set_role("unknown@example.com", "operator")


def test_open_alerts_are_sorted_by_severity_and_age(control: OperatorStore) -> None:
    assert control.open_alerts(10) == ALERTS
    assert control.open_alerts(2) == ALERTS[:2]


@pytest.mark.parametrize("kind", ["fake", "postgres"])
def test_an_unavailable_store_raises_transient_error(kind: str, request: pytest.FixtureRequest) -> None:
    is_fake = kind == "fake"
    unavailable: OperatorStore = (
        make_unavailable(FakeOperatorStore())
        if is_fake
        else PostgresOperatorStore(
            request.getfixturevalue("unreachable_pool"), request.getfixturevalue("unreachable_health")
        )
    )
    for ask in (
        unavailable.markets,
        lambda: unavailable.account("a"),
        lambda: unavailable.account_of("a@example.com"),
        lambda: unavailable.accounts(offset=0, limit=1),
        lambda: unavailable.applied("i", None),
        lambda: unavailable.set_role("a@example.com", "member"),
        lambda: unavailable.open_alerts(1),
    ):
        with pytest.raises(TransientError):
            ask()
