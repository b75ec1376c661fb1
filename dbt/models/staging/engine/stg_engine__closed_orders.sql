select
    -- identity
    shard || ':' || position || ':' || ordinal as closed_order,
    shard,
    position,
    ordinal,
    account,
    trade,
    "order",

    -- facts
    symbol,
    side,
    leverage,
    reason,
    code,

    -- amounts
    quantity,
    remaining as remaining_quantity,
    entry as entry_price_usd,
    exit as exit_price_usd,
    profit as profit_usd,
    fee as fee_usd,
    margin as margin_usd,

    -- times
    opened_us,
    closed_us,
    {{ at_us('closed_us') }} as closed_at,
    {{ day_of_us('closed_us') }} as closed_day
from {{ source('engine', 'closed_orders') }}
where {{ within_cut() }}
