-- Open trades at the cut. The parity gate compares them with the engine's snapshot.
--
-- Unrealised profit is the profit from the price only if the trade were closed at the mark: the last bid (long) or
-- ask (short) of the last day in the marts.
with latest as (
    select distinct on (trade) *
    from {{ ref('stg_engine__trade_events') }}
    order by trade asc, position desc, ordinal desc
),

marks as (
    select distinct on (symbol) *
    from {{ ref('stg_market__bars') }}
    order by symbol asc, minute_us desc
),

marked as (
    select
        latest.*,
        case latest.side when 'long' then marks.bid_close_usd else marks.ask_close_usd end as mark_price_usd
    from latest
    left join marks on latest.symbol = marks.symbol
    where latest.remaining_quantity > 0
)

select
    trade,
    account,
    shard,
    symbol,
    side,
    leverage,
    remaining_quantity as quantity,
    entry_price_usd,
    remaining_margin_usd as margin_usd,
    stop_loss_usd,
    take_profit_usd,
    liquidation_usd,
    mark_price_usd,
    floor(
        case side when 'long' then mark_price_usd - entry_price_usd else entry_price_usd - mark_price_usd end
        * remaining_quantity * 1e8
    ) / 1e8 as unrealised_profit_usd,
    opened_us,
    {{ at_us('opened_us') }} as opened_at
from marked
