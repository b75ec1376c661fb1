"""Metrics of accounts at the end of a day (`ops.account_metrics`), computed in the database.

* Only events within the cut and before the day's end count.
* Marks are the last bars before the day's end: longs and assets at the bid, shorts at the ask.
* The value of a trade is never below zero: it can lose only its isolated margin.
* `realised_profit`, `fees`, `net_deposits`, `closed_trades` are sums since the account was opened.
"""

from datetime import date
from typing import Any, Final

from paceline.adapters.postgres.connections.transaction import transaction
from paceline.core.times import day_bounds_us
from paceline.ports.warehouse import Cut

_STATE = """
with cut as (select shard, position from ops.cuts where cut_id = %(cut_id)s),
accounts as (
    select a.account from engine.accounts as a join cut using (shard)
    where a.position < cut.position and a.opened_us < %(end_us)s
),
balances as (
    select distinct on (b.account) b.* from engine.balances as b join cut using (shard)
    where b.position < cut.position and b.time_us < %(end_us)s
    order by b.account, b.position desc, b.ordinal desc
),
marks as (
    select distinct on (symbol) symbol, bid_close, ask_close from market.bars
    where minute_us < %(end_us)s order by symbol, minute_us desc
),
bases as (
    select distinct on (m.base) m.base, marks.bid_close
    from engine.shard_markets as m join marks using (symbol) order by m.base, m.symbol
),
holdings as (
    select b.account, held.asset, held.quantity::numeric as quantity, bases.bid_close as mark
    from balances as b
    cross join lateral (
        select * from jsonb_each_text(b.balances) union all select * from jsonb_each_text(b.locked_balances)
    ) as held (asset, quantity)
    left join bases on bases.base = held.asset
),
last_events as (
    select distinct on (e.trade) e.* from engine.trade_events as e join cut using (shard)
    where e.position < cut.position and e.time_us < %(end_us)s
    order by e.trade, e.position desc, e.ordinal desc
),
open_trades as (
    select
        e.account, e.symbol, e.remaining_quantity as quantity, e.remaining_margin as margin, e.entry_price,
        case e.side when 'long' then 1 else -1 end as direction,
        case e.side when 'long' then marks.bid_close else marks.ask_close end as mark
    from last_events as e left join marks using (symbol)
    where e.remaining_quantity > 0
)
"""

_UNMARKED = (
    _STATE  # noqa: S608 - parts are constants of this module, values are bound
    + """
select symbol as name from open_trades where mark is null
union select asset from holdings where mark is null and quantity > 0
order by name
"""
)

_COMPUTE = (
    _STATE  # noqa: S608 - parts are constants of this module, values are bound
    + """,
assets as (
    select account, sum(floor(quantity * mark * 1e8) / 1e8) as value from holdings where quantity > 0
    group by account
),
trades as (
    select
        account,
        count(*) as open_trades,
        sum(floor(quantity * mark * 1e8) / 1e8) as exposure,
        sum(greatest(-margin, floor(direction * (mark - entry_price) * quantity * 1e8) / 1e8)) as unrealised
    from open_trades group by account
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
    %(day)s, accounts.account, %(cut_id)s, %(provisional)s,
    b.cash + b.margin + b.locked + coalesce(assets.value, 0) + coalesce(trades.unrealised, 0),
    b.cash, b.margin, b.locked,
    coalesce(assets.value, 0), coalesce(trades.unrealised, 0), coalesce(closings.realised, 0),
    coalesce(closings.fees, 0) + coalesce(openings.fees, 0), coalesce(trades.exposure, 0),
    coalesce(deposits.amount, 0), coalesce(trades.open_trades, 0), coalesce(closings.closed_trades, 0)
from accounts
join balances as b on b.account = accounts.account
left join assets on assets.account = accounts.account
left join trades on trades.account = accounts.account
left join closings on closings.account = accounts.account
left join openings on openings.account = accounts.account
left join deposits on deposits.account = accounts.account
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
)

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
            rows = connection.execute(_UNMARKED, _parameters(cut, day)).fetchall()
        return [row["name"] for row in rows]

    def compute(self, cut: Cut, day: date) -> int:
        with transaction(self._url) as connection:
            return connection.execute(_COMPUTE, _parameters(cut, day)).rowcount


def _parameters(cut: Cut, day: date) -> dict[str, Any]:
    _, end_us = day_bounds_us(day)
    return {
        "cut_id": cut.cut_id,
        "day": day,
        "end_us": min(end_us, cut.as_of_end_us),
        "provisional": cut.provisional and day == cut.as_of_day,
    }
