-- Trades that are open at the cut; the parity gate holds them against the engine's own snapshot.
--
-- Unrealised profit is what the price alone would bring if the trade were closed at the mark: the last bid (long)
-- or ask (short) of the day that the marts tell of.
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
