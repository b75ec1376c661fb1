-- The leaderboard, for four periods that end with the last day in the marts: `day` is that day, `week` the last 7
-- days, `month` the last 30, `all` all days. The period of an account starts when it was opened, if that is later.
--
-- Metrics, each defined in macros/scoring.sql or here:
-- * profit: sum of the profits of the period's days (fct_account_days): the change of equity less net deposits.
-- * return: profit on time-weighted equity (Modified Dietz over the whole period).
-- * trades, win rate, profit factor: for the trades closed in the period, after all fees.
-- * average holding time: mean time from opening to last closing of those trades.
-- * max drawdown, Sharpe: from the period's daily returns, as in empyrical with 365 days a year.
-- * ranked: accounts with the minimum number of closed trades in the period and a return, by return, then profit.
with periods as (
    select
        period,
        coalesce({{ as_of_day() }} - (days - 1), date '1970-01-01') as first_day
    from (values ('day', 1), ('week', 7), ('month', 30), ('all', null::int)) as named (period, days)
),

account_periods as (
    select
        periods.period,
        periods.first_day,
        accounts.account,
        greatest({{ start_of_day_us('periods.first_day') }}, accounts.opened_us) as start_us
    from periods
    cross join {{ ref('stg_engine__accounts') }} as accounts
    where accounts.opened_us < {{ as_of_end_us() }}
),

period_days as (
    select
        account_periods.period,
        days.*
    from account_periods
    inner join {{ ref('fct_account_days') }} as days
        on account_periods.account = days.account and account_periods.first_day <= days.day
),

results as (
    select
        period,
        account,
        sum(profit_usd) as profit_usd,
        (array_agg(equity_before_usd order by day))[1] as equity_before_usd,
        (array_agg(equity_usd order by day desc))[1] as equity_usd
    from period_days
    group by period, account
),

flows as (
    select
        account_periods.period,
        account_periods.account,
        sum(
            deposits.amount_usd::double precision
            * {{ flow_weight('deposits.time_us', 'account_periods.start_us', as_of_end_us()) }}
            order by deposits.time_us, deposits.shard, deposits.position
        ) as weighted_usd
    from account_periods
    inner join {{ ref('stg_engine__deposits') }} as deposits
        on account_periods.account = deposits.account and account_periods.first_day <= deposits.day
    where deposits.time_us < {{ as_of_end_us() }}
    group by account_periods.period, account_periods.account
),

daily as (
    {{ return_statistics('period_days', ['period', 'account']) }}
),

trades as (
    select
        account_periods.period,
        account_periods.account,
        count(*)::int as trades,
        {{ win_rate('closed.net_profit_usd') }} as win_rate,
        {{ profit_factor('closed.net_profit_usd') }} as profit_factor,
        avg(closed.holding_s order by closed.trade) as average_holding_s
    from account_periods
    inner join {{ ref('fct_closed_trades') }} as closed
        on account_periods.account = closed.account and account_periods.first_day <= closed.closed_day
    group by account_periods.period, account_periods.account
),

scored as (
    select
        results.period,
        results.account,
        accounts.display_name,
        results.profit_usd,
        {{ return_on("results.profit_usd", "(results.equity_before_usd + coalesce(flows.weighted_usd, 0))") }}
            as return_ratio,
        results.equity_usd,
        trades.win_rate,
        trades.profit_factor,
        daily.max_drawdown,
        daily.sharpe,
        trades.average_holding_s,
        coalesce(trades.trades, 0) as trades,
        coalesce(daily.days, 0) as days
    from results
    inner join {{ ref('dim_accounts') }} as accounts on results.account = accounts.account
    left join flows on results.period = flows.period and results.account = flows.account
    left join daily on results.period = daily.period and results.account = daily.account
    left join trades on results.period = trades.period and results.account = trades.account
),

judged as (
    select
        scored.*,
        cut.minimum_trades,
        cut.as_of_day,
        cut.provisional,
        scored.trades >= cut.minimum_trades and scored.return_ratio is not null as is_ranked
    from scored
    cross join {{ ref('dim_cut') }} as cut
)

select
    period,
    case
        when is_ranked
            then row_number() over (
                partition by period, is_ranked order by return_ratio desc, profit_usd desc, account asc
            )::int
    end as rank,
    account,
    display_name,
    profit_usd,
    return_ratio,
    equity_usd,
    win_rate,
    profit_factor,
    max_drawdown,
    sharpe,
    average_holding_s,
    trades,
    minimum_trades,
    days,
    is_ranked,
    as_of_day,
    provisional
from judged
