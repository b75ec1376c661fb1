select
    -- identity
    shard,
    position,
    account,

    -- facts
    kind,

    -- amounts
    amount as amount_usd,

    -- times
    time_us,
    {{ day_of_us('time_us') }} as day
from {{ source('engine', 'deposits') }}
where {{ within_cut() }}
