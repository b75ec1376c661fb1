-- E-mail addresses are not read into the warehouse.
select
    account,
    display_name,
    created_at as joined_at
from {{ source('community', 'users') }}
