select
    -- identity
    account,
    shard,
    position,

    -- amounts
    initial_balance as initial_balance_usd,

    -- times
    opened_us,
    {{ at_us('opened_us') }} as opened_at,
    {{ day_of_us('opened_us') }} as opened_day
from {{ source('engine', 'accounts') }}
where {{ within_cut() }}
