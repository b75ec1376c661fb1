"""What `Control` promises: markets and accounts of all shards, who holds them, and what is wrong."""

from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest
from msgspec.structs import replace

from paceline.adapters.postgres.operations.control import PostgresControl
from paceline.core.errors import TransientError
from paceline.core.money import SCALE
from paceline.core.times import DAY_US
from paceline.messages.inbound import (
    CloseTrade,
    CreateTrade,
    HaltAccount,
    HaltMarket,
    OpenAccount,
    ResumeAccount,
    ResumeMarket,
)
from paceline.ports.identity import Member
from paceline.ports.operations import AccountControl, Alert, Control, MarketControl
from tests.support.fakes.operations.control import FakeControl
from tests.support.fakes.store import lost
from tests.support.scenario_log import day
from tests.support.sinks import write_days
from tests.support.small_day import BTC, ETH, balances_of, market, price

EARLY, SOL = "EARLY_USDC_PERP", "SOL_USDC_PERP"
MEMBER = Member(uuid4(), "ada@example.com", "ada", "Ada", "member")
WITHOUT_ACCOUNT = Member(uuid4(), "cy@example.com", "cy", "Cy", "member")
# Shard 0: BTC is halted, ETH halted and resumed, a halt came before its market, SOL was given another base.
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
]
ADA = AccountControl(
    account="ada", shard=0, opened=3, halted=True, cash=balances_of(day(FIRST))["ada"].cash, margin="100",
    locked="0", open_trades=1, email="ada@example.com", display_name="Ada", role="member",
)  # fmt: skip
BOB = AccountControl(
    account="bob", shard=1, opened=4, halted=False, cash="1000", margin="0", locked="0",
    open_trades=0, email=None, display_name=None, role=None,
)  # fmt: skip


def seen(symbol: str, shards: list[int], halted: list[int], max_leverage: int = 100) -> MarketControl:
    """The first shard that has a market tells whether it is halted."""
    return MarketControl(
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


def fake() -> FakeControl:
    control = FakeControl(*MARKETS[::-1])
    control.held = [replace(ADA, email=None, display_name=None, role=None), BOB]
    control.members = {member.email: member for member in (MEMBER, WITHOUT_ACCOUNT)}
    for shard, messages in enumerate((FIRST, SECOND)):
        control.taken += [(shard, one.id, getattr(one, "account", None)) for one in messages]
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
def control(request: pytest.FixtureRequest) -> Control:
    if request.param == "fake":
        return fake()
    fill(request.getfixturevalue("postgres_url"))
    return PostgresControl(request.getfixturevalue("pool"))


def test_a_market_says_on_which_shards_it_is_and_is_halted(control: Control) -> None:
    """A halt counts only if it came after the market; the base is the first one, as the engine keeps it."""
    assert control.markets() == MARKETS


def test_an_account_comes_with_its_balance_and_holder(control: Control) -> None:
    assert control.account("ada") == ADA
    assert control.account("bob") == BOB
    assert control.account("nobody") is None


def test_accounts_come_newest_first_in_pages(control: Control) -> None:
    everything = control.accounts(offset=0, limit=10)
    assert (everything.items, everything.total) == ([BOB, ADA], 2)
    second = control.accounts(offset=1, limit=1)
    assert (second.items, second.total) == ([ADA], 2)
    assert control.accounts(offset=2, limit=10).items == []


def test_an_address_leads_to_the_account_in_upper_case_too(control: Control) -> None:
    assert control.account_of("Ada@Example.com") == "ada"
    assert control.account_of("nobody@example.com") is None


def test_the_shards_that_have_taken_an_instruction(control: Control) -> None:
    assert control.shards_with(market(BTC).id, None) == {0, 1}
    assert control.shards_with("halt-nothing", None) == {1}
    assert control.shards_with("halt-bob", "bob") == {1}
    assert control.shards_with("halt-bob", "ada") == set()
    assert control.shards_with("halt-bob", None) == set()
    assert control.shards_with("never", None) == set()


def test_a_role_is_set_where_there_is_a_member(control: Control) -> None:
    assert control.set_role("ADA@example.com", "operator")
    assert control.account("ada") == replace(ADA, role="operator")
    assert control.set_role("ada@example.com", "member")
    assert control.account("ada") == ADA
    assert control.set_role("cy@example.com", "member")
    assert not control.set_role("nobody@example.com", "operator")


def test_open_alerts_have_the_worst_and_oldest_first(control: Control) -> None:
    assert control.open_alerts(10) == ALERTS
    assert control.open_alerts(2) == ALERTS[:2]


@pytest.mark.parametrize("kind", ["fake", "postgres"])
def test_a_store_that_is_away_is_told_as_passing(kind: str, request: pytest.FixtureRequest) -> None:
    is_fake = kind == "fake"
    away: Control = lost(FakeControl()) if is_fake else PostgresControl(request.getfixturevalue("lost_pool"))
    for ask in (
        away.markets,
        lambda: away.account("a"),
        lambda: away.account_of("a@example.com"),
        lambda: away.accounts(offset=0, limit=1),
        lambda: away.shards_with("i", None),
        lambda: away.set_role("a@example.com", "member"),
        lambda: away.open_alerts(1),
    ):
        with pytest.raises(TransientError):
            ask()
