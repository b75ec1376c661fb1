-- Each closing of a trade, whole or in part, with its share of the opening fee.
--
-- The engine's profit is from the price only: long (exit − entry) × quantity, short (entry − exit) × quantity,
-- rounded down to 10⁻⁸ USD. An account never owes more than its margin: the insurance pays the part of a loss beyond
-- it. The opening fee is distributed over the closings by quantity and rounded so that the shares of a closed
-- trade add up to the fee exactly.
with openings as (
    select
        trade,
        quantity as opened_quantity,
        fee_usd as entry_fee_usd
    from {{ ref('stg_engine__trade_events') }}
    where event = 'opened'
),

closings as (
    select
        closed_orders.*,
        openings.opened_quantity,
        openings.entry_fee_usd,
        sum(closed_orders.quantity) over (
            partition by closed_orders.trade order by closed_orders.position, closed_orders.ordinal
        ) as closed_quantity
    from {{ ref('stg_engine__closed_orders') }} as closed_orders
    left join openings on closed_orders.trade = openings.trade
    where closed_orders.trade is not null
),

shared as (
    select
        *,
        trunc(entry_fee_usd * closed_quantity / opened_quantity, 8)
        - trunc(entry_fee_usd * (closed_quantity - quantity) / opened_quantity, 8) as entry_fee_share_usd,
        greatest(0, -margin_usd - profit_usd) as insured_usd
    from closings
)

select
    closed_order,
    trade,
    account,
    shard,
    position,
    ordinal,
    symbol,
    side,
    leverage,
    reason,
    quantity,
    opened_quantity,
    closed_quantity,
    remaining_quantity,
    entry_price_usd,
    exit_price_usd,
    margin_usd,
    profit_usd,
    insured_usd,
    fee_usd as exit_fee_usd,
    entry_fee_share_usd,
    profit_usd + insured_usd - fee_usd - entry_fee_share_usd as net_profit_usd,
    opened_us,
    closed_us,
    closed_day
from shared
