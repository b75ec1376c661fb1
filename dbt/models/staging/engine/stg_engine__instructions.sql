select
    -- identity
    shard,
    position,
    instruction,
    account,

    -- facts
    kind,
    symbol,
    status,
    code,
    duplicate as is_duplicate,

    -- times
    time_us,
    {{ day_of_us('time_us') }} as day
from {{ source('engine', 'instructions') }}
where {{ within_cut() }}
