with instructions as (
    select
        account,
        count(*)::int as instructions,
        count(*) filter (where status = 'rejected')::int as rejections,
        {{ at_us('max(time_us)') }} as last_instruction_at
    from {{ ref('stg_engine__instructions') }}
    where not is_duplicate
    group by account
)

select
    accounts.account,
    accounts.shard,
    -- An account without a member (made by an operator) is named by its first characters.
    coalesce(users.display_name, 'account ' || left(accounts.account, 6)) as display_name,
    accounts.opened_at,
    accounts.opened_day,
    accounts.initial_balance_usd,
    coalesce(instructions.instructions, 0) as instructions,
    coalesce(instructions.rejections, 0) as rejections,
    instructions.last_instruction_at
from {{ ref('stg_engine__accounts') }} as accounts
left join {{ ref('stg_community__users') }} as users on accounts.account = users.account
left join instructions on accounts.account = instructions.account
