select
    -- identity
    account,
    day,
    cut_id,
    provisional as is_provisional,

    -- amounts at the end of the day
    equity as equity_usd,
    cash as cash_usd,
    margin as margin_usd,
    locked as locked_usd,
    asset_value as asset_value_usd,
    unrealised_profit as unrealised_profit_usd,
    exposure as exposure_usd,
    open_trades,

    -- sums since the account was opened
    realised_profit as realised_profit_usd,
    fees as fees_usd,
    net_deposits as net_deposits_usd,
    closed_trades
from {{ source('ops', 'account_metrics') }}
where day <= {{ as_of_day() }}
