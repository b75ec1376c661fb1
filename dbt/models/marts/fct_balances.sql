-- Balances of each account at the cut. The parity gate compares them with the engine's snapshot.
--
-- `unexplained_usd` is the difference from a ledger computed from the history: deposits, withdrawals, fees, results
-- of trades and spot fills must equal cash + margin + locked to the last unit.
with latest as (
    select distinct on (account) *
    from {{ ref('stg_engine__balances') }}
    order by account asc, position desc, ordinal desc
),

deposited as (
    select
        account,
        sum(amount_usd) as amount_usd
    from {{ ref('stg_engine__deposits') }}
    group by account
),

entry_fees as (
    select
        account,
        sum(fee_usd) as fees_usd
    from {{ ref('stg_engine__trade_events') }}
    where event = 'opened'
    group by account
),

traded as (
    select
        account,
        sum(profit_usd + insured_usd - exit_fee_usd) as result_usd
    from {{ ref('int_trades_enriched') }}
    group by account
),

spot as (
    select
        account,
        sum(
            case side
                when 'buy' then -ceil(exit_price_usd * quantity * 1e8) / 1e8 - fee_usd
                else floor(exit_price_usd * quantity * 1e8) / 1e8 - fee_usd
            end
        ) as paid_usd
    from {{ ref('stg_engine__closed_orders') }}
    where trade is null and reason = 'filled'
    group by account
)

select
    latest.account,
    latest.shard,
    latest.position,
    latest.cash_usd,
    latest.margin_usd,
    latest.locked_usd,
    latest.balances,
    latest.locked_balances,
    latest.changed_at,
    latest.cash_usd + latest.margin_usd + latest.locked_usd
    - coalesce(deposited.amount_usd, 0) + coalesce(entry_fees.fees_usd, 0)
    - coalesce(traded.result_usd, 0) - coalesce(spot.paid_usd, 0) as unexplained_usd
from latest
left join deposited on latest.account = deposited.account
left join entry_fees on latest.account = entry_fees.account
left join traded on latest.account = traded.account
left join spot on latest.account = spot.account
