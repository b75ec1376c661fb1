"""Metrics of accounts at the end of a day (`ops.account_metrics`).

* Only events within the cut and before the day's end count.
* Marks are the last bars before the day's end. `domain/warehouse/valuation.py` values the accounts with them.
* `realised_profit`, `fees`, `net_deposits`, `closed_trades` are sums since the account was opened. A closing
  loses at most its margin.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final

from paceline.adapters.postgres.connections.transaction import BlockingConnection, transaction
from paceline.adapters.postgres.numbers import from_numeric, to_numeric
from paceline.core.money import parse_decimal
from paceline.core.times import day_bounds_us
from paceline.domain.warehouse.valuation import (
    AccountAtEnd,
    Holding,
    Mark,
    Marks,
    TradeAtEnd,
    unmarked,
    value,
)
from paceline.ports.warehouse import Cut

_BALANCES: Final = """
with cut as (select shard, position from ops.cuts where cut_id = %(cut_id)s)
select distinct on (b.account)
    b.account, b.cash, b.margin, b.locked,
    b.balances as free, b.locked_balances as held
from engine.balances as b
join cut using (shard)
join engine.accounts as a on a.account = b.account and a.shard = b.shard
where b.position < cut.position and b.time_us < %(end_us)s
and a.position < cut.position and a.opened_us < %(end_us)s
order by b.account, b.position desc, b.ordinal desc
"""

_OPEN_TRADES: Final = """
with cut as (select shard, position from ops.cuts where cut_id = %(cut_id)s)
select * from (
    select distinct on (e.trade)
        e.account, e.symbol, e.side, e.remaining_quantity, e.remaining_margin, e.entry_price
    from engine.trade_events as e join cut using (shard)
    where e.position < cut.position and e.time_us < %(end_us)s
    order by e.trade, e.position desc, e.ordinal desc
) as last_events
where remaining_quantity > 0
"""

_MARKS: Final = """
select distinct on (symbol) symbol, bid_close, ask_close from market.bars
where minute_us < %(end_us)s order by symbol, minute_us desc
"""
_BASES: Final = "select distinct base, symbol from engine.shard_markets order by base, symbol"

_STORE: Final = """
with cut as (select shard, position from ops.cuts where cut_id = %(cut_id)s),
valued as (
    select * from unnest(
        %(account)s::text[], %(cash)s::numeric[], %(margin)s::numeric[], %(locked)s::numeric[],
        %(equity)s::numeric[], %(asset_value)s::numeric[], %(unrealised_profit)s::numeric[],
        %(exposure)s::numeric[], %(open_trades)s::int[]
    ) as v (account, cash, margin, locked, equity, asset_value, unrealised_profit, exposure, open_trades)
),
closings as (
    select
        o.account,
        coalesce(sum(greatest(-o.margin, o.profit)) filter (where o.trade is not null), 0) as realised,
        coalesce(sum(o.fee), 0) as fees,
        count(*) filter (where o.trade is not null and o.remaining = 0) as closed_trades
    from engine.closed_orders as o join cut using (shard)
    where o.position < cut.position and o.time_us < %(end_us)s
    group by o.account
),
openings as (
    select e.account, sum(e.fee) as fees from engine.trade_events as e join cut using (shard)
    where e.event = 'opened' and e.position < cut.position and e.time_us < %(end_us)s
    group by e.account
),
deposits as (
    select d.account, sum(d.amount) as amount from engine.deposits as d join cut using (shard)
    where d.position < cut.position and d.time_us < %(end_us)s
    group by d.account
)
insert into ops.account_metrics (
    day, account, cut_id, provisional, equity, cash, margin, locked, asset_value, unrealised_profit,
    realised_profit, fees, exposure, net_deposits, open_trades, closed_trades
)
select
    %(day)s, v.account, %(cut_id)s, %(provisional)s, v.equity, v.cash, v.margin, v.locked,
    v.asset_value, v.unrealised_profit, coalesce(closings.realised, 0),
    coalesce(closings.fees, 0) + coalesce(openings.fees, 0), v.exposure,
    coalesce(deposits.amount, 0), v.open_trades, coalesce(closings.closed_trades, 0)
from valued as v
left join closings using (account)
left join openings using (account)
left join deposits using (account)
on conflict (day, account) do update set (
    cut_id, provisional, equity, cash, margin, locked, asset_value, unrealised_profit,
    realised_profit, fees, exposure, net_deposits, open_trades, closed_trades
) = (
    excluded.cut_id, excluded.provisional, excluded.equity, excluded.cash, excluded.margin, excluded.locked,
    excluded.asset_value, excluded.unrealised_profit, excluded.realised_profit, excluded.fees,
    excluded.exposure,
    excluded.net_deposits, excluded.open_trades, excluded.closed_trades
)
"""

# Days without a run, or whose last run was before their end. Newest first, and bounded to bound a run's time.
_MAX_DAYS: Final = 400
_DAYS = """
select day::date as day
from generate_series(
    (select date '1970-01-01' + (min(opened_us) / 86400000000)::int from engine.accounts), %(last)s,
    interval '1 day'
) as day
where day::date not in (select m.day from ops.account_metrics as m where not m.provisional)
order by day desc limit %(limit)s
"""


class PostgresAccountMetrics:
    def __init__(self, url: str) -> None:
        self._url = url

    def days_to_compute(self, cut: Cut) -> list[date]:
        last = max(cut.day, cut.as_of_day)
        with transaction(self._url) as connection:
            rows = connection.execute(_DAYS, {"last": last, "limit": _MAX_DAYS}).fetchall()
        return sorted({cut.day, cut.as_of_day} | {row["day"] for row in rows})

    def unmarked(self, cut: Cut, day: date) -> list[str]:
        with transaction(self._url) as connection:
            parameters = _parameters(cut, day)
            accounts = _accounts(connection, parameters)
            return unmarked(accounts.values(), _marks(connection, parameters))

    def compute(self, cut: Cut, day: date) -> int:
        with transaction(self._url) as connection:
            connection.execute("set transaction isolation level repeatable read")
            parameters = _parameters(cut, day)
            accounts = _accounts(connection, parameters)
            valued = _columns(accounts, _marks(connection, parameters))
            return connection.execute(_STORE, parameters | valued).rowcount


def _accounts(connection: BlockingConnection, parameters: Mapping[str, Any]) -> dict[str, AccountAtEnd]:
    """The accounts that were opened before the day's end, with what they hold at that time."""
    accounts = {
        row["account"]: AccountAtEnd(
            row["account"],
            from_numeric(row["cash"]),
            from_numeric(row["margin"]),
            from_numeric(row["locked"]),
            [*_holdings(row["free"]), *_holdings(row["held"])],
            [],
        )
        for row in connection.execute(_BALANCES, parameters)
    }
    for row in connection.execute(_OPEN_TRADES, parameters):
        accounts[row["account"]].trades.append(
            TradeAtEnd(
                row["symbol"],
                row["side"],
                from_numeric(row["remaining_quantity"]),
                from_numeric(row["remaining_margin"]),
                from_numeric(row["entry_price"]),
            )
        )
    return accounts


def _holdings(amounts: Mapping[str, str]) -> Iterator[Holding]:
    for asset, text in amounts.items():
        if quantity := parse_decimal(text):
            yield Holding(asset, quantity)


def _marks(connection: BlockingConnection, parameters: Mapping[str, Any]) -> Marks:
    """Marks by symbol. An asset has that of the first of its markets, by name, that has one."""
    symbols = {
        row["symbol"]: Mark(from_numeric(row["bid_close"]), from_numeric(row["ask_close"]))
        for row in connection.execute(_MARKS, parameters)
    }
    assets: dict[str, int] = {}
    for row in connection.execute(_BASES):
        if row["symbol"] in symbols:
            assets.setdefault(row["base"], symbols[row["symbol"]].bid)
    return Marks(symbols, assets)


def _columns(accounts: Mapping[str, AccountAtEnd], marks: Marks) -> dict[str, list[Any]]:
    """The valued accounts as columns for `_STORE`."""
    valued = [(one, value(one, marks)) for one in accounts.values()]
    return {
        "account": [one.account for one, _ in valued],
        "cash": [to_numeric(one.cash) for one, _ in valued],
        "margin": [to_numeric(one.margin) for one, _ in valued],
        "locked": [to_numeric(one.locked) for one, _ in valued],
        "equity": [to_numeric(worth.equity) for _, worth in valued],
        "asset_value": [to_numeric(worth.asset_value) for _, worth in valued],
        "unrealised_profit": [to_numeric(worth.unrealised_profit) for _, worth in valued],
        "exposure": [to_numeric(worth.exposure) for _, worth in valued],
        "open_trades": [len(one.trades) for one, _ in valued],
    }


def _parameters(cut: Cut, day: date) -> dict[str, Any]:
    _, end_us = day_bounds_us(day)
    return {
        "cut_id": cut.cut_id,
        "day": day,
        "end_us": min(end_us, cut.as_of_end_us),
        "provisional": cut.provisional and day == cut.as_of_day,
    }
