-- One row: the cut of all marts in this schema.
select
    {{ cut_value('cut_id') | int }}::bigint as cut_id,
    {{ as_of_day() }} as as_of_day,
    {{ at_us(as_of_end_us()) }} as as_of_at,
    {{ cut_value('provisional') | string | lower }} as provisional,
    {{ cut_value('minimum_trades') | int }} as minimum_trades
