-- Trades that are completely closed by the end of the last day in the marts.
with last_closings as (
    select
        trade,
        reason,
        closed_us,
        closed_day
    from {{ ref('int_trades_enriched') }}
    where remaining_quantity = 0 and closed_us < {{ as_of_end_us() }}
),

sums as (
    select
        trade,
        min(account) as account,
        min(symbol) as symbol,
        min(side) as side,
        min(leverage) as leverage,
        sum(quantity) as quantity,
        min(opened_quantity) as opened_quantity,
        min(entry_price_usd) as entry_price_usd,
        (sum(exit_price_usd * quantity) / nullif(sum(quantity), 0))::double precision as average_exit_price_usd,
        sum(margin_usd) as margin_usd,
        sum(profit_usd) as profit_usd,
        sum(insured_usd) as insured_usd,
        sum(exit_fee_usd + entry_fee_share_usd) as fees_usd,
        sum(net_profit_usd) as net_profit_usd,
        count(*)::int as closings,
        min(opened_us) as opened_us
    from {{ ref('int_trades_enriched') }}
    group by trade
)

select
    sums.trade,
    sums.account,
    sums.symbol,
    sums.side,
    sums.leverage,
    sums.quantity,
    sums.opened_quantity,
    sums.entry_price_usd,
    sums.average_exit_price_usd,
    sums.margin_usd,
    sums.profit_usd,
    sums.insured_usd,
    sums.fees_usd,
    sums.net_profit_usd,
    sums.closings,
    last_closings.reason as close_reason,
    {{ at_us('sums.opened_us') }} as opened_at,
    {{ at_us('last_closings.closed_us') }} as closed_at,
    last_closings.closed_day,
    -- Holding time: from the opening to the last closing.
    (last_closings.closed_us - sums.opened_us) / 1e6::double precision as holding_s
from sums
inner join last_closings on sums.trade = last_closings.trade
