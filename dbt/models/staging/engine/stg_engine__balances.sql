select
    -- identity
    shard,
    position,
    ordinal,
    account,

    -- amounts
    cash as cash_usd,
    margin as margin_usd,
    locked as locked_usd,
    balances,
    locked_balances,

    -- times
    time_us,
    {{ at_us('time_us') }} as changed_at
from {{ source('engine', 'balances') }}
where {{ within_cut() }}
