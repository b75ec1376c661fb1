select
    -- identity
    symbol,
    minute_us,

    -- amounts
    bid_close as bid_close_usd,
    ask_close as ask_close_usd,
    updates,

    -- times
    {{ at_us('minute_us') }} as minute_at
from {{ source('market', 'bars') }}
where minute_us < {{ as_of_end_us() }}
