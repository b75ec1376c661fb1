select
    -- identity
    shard,
    position,
    ordinal,
    trade,
    account,

    -- facts
    event,
    symbol,
    side,
    leverage,
    reason,

    -- amounts
    quantity,
    remaining_quantity,
    entry_price as entry_price_usd,
    price as price_usd,
    margin as margin_usd,
    remaining_margin as remaining_margin_usd,
    fee as fee_usd,
    profit as profit_usd,

    -- levels
    stop_loss as stop_loss_usd,
    take_profit as take_profit_usd,
    liquidation as liquidation_usd,

    -- times
    time_us,
    opened_us
from {{ source('engine', 'trade_events') }}
where {{ within_cut() }}
