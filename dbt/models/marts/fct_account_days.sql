-- Results of each account on each day.
--
-- Equity: cash + margin + locked + assets at the bid + unrealised profit of open trades at the end of the day, from
-- `ops.account_metrics`. Profit of a day: equity at its end − equity at the end of the day before − net deposits. It
-- includes fees, open trades and spot holdings.
-- Return of a day: this profit on time-weighted equity (Modified Dietz, see macros/scoring.sql).
with days as (
    select
        *,
        coalesce(lag(equity_usd) over account_history, 0) as equity_before_usd,
        net_deposits_usd - coalesce(lag(net_deposits_usd) over account_history, 0) as deposited_usd,
        realised_profit_usd - coalesce(lag(realised_profit_usd) over account_history, 0) as day_realised_profit_usd,
        fees_usd - coalesce(lag(fees_usd) over account_history, 0) as day_fees_usd,
        closed_trades - coalesce(lag(closed_trades) over account_history, 0) as day_closed_trades
    from {{ ref('stg_ops__account_metrics') }}
    window account_history as (partition by account order by day)
),

bounds as (
    select
        days.*,
        greatest({{ start_of_day_us('days.day') }}, accounts.opened_us) as start_us,
        least({{ start_of_day_us('days.day + 1') }}, {{ as_of_end_us() }}) as end_us
    from days
    inner join {{ ref('stg_engine__accounts') }} as accounts on days.account = accounts.account
),

flows as (
    select
        bounds.account,
        bounds.day,
        sum(
            deposits.amount_usd::double precision
            * {{ flow_weight('deposits.time_us', 'bounds.start_us', 'bounds.end_us') }}
            order by deposits.time_us, deposits.shard, deposits.position
        ) as weighted_usd
    from bounds
    inner join {{ ref('stg_engine__deposits') }} as deposits
        on bounds.account = deposits.account and bounds.day = deposits.day
    where deposits.time_us < {{ as_of_end_us() }}
    group by bounds.account, bounds.day
),

profits as (
    select
        bounds.*,
        bounds.equity_usd - bounds.equity_before_usd - bounds.deposited_usd as profit_usd,
        bounds.equity_before_usd::double precision + coalesce(flows.weighted_usd, 0) as capital_usd
    from bounds
    left join flows on bounds.account = flows.account and bounds.day = flows.day
)

select
    account,
    day,
    is_provisional,
    equity_before_usd,
    deposited_usd,
    profit_usd,
    equity_usd,
    capital_usd,
    {{ return_on('profit_usd', 'capital_usd') }} as return_ratio,
    cash_usd,
    margin_usd,
    locked_usd,
    asset_value_usd,
    unrealised_profit_usd,
    day_realised_profit_usd as realised_profit_usd,
    day_fees_usd as fees_usd,
    exposure_usd,
    open_trades,
    day_closed_trades as closed_trades
from profits
