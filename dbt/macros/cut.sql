{#-
  The cut for the models, from the var `cut`:
  `{"cut_id": 7, "positions": {"0": 1200, "1": 1180}, "as_of_day": "2026-03-01", "as_of_end_us": …,
    "provisional": false, "minimum_trades": 3}`.
  `positions` are those of the engine's snapshots: all positions *before* them are within the cut.
-#}
{% macro cut_value(name) -%}
    {{ return(fromjson(var('cut'))[name]) }}
{%- endmacro %}

{#- Whether a row of a shard's history is within the cut. -#}
{% macro within_cut(shard='shard', position='position') -%}
    {%- set positions = cut_value('positions') -%}
    {%- if positions -%}
        {{ position }} < case {{ shard }}
        {%- for number, end_position in positions.items() %}
        when {{ number | int }} then {{ end_position | int }}
        {%- endfor %}
        else 0 end
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}

{#- The last day in the marts. -#}
{% macro as_of_day() -%}
    date '{{ cut_value('as_of_day') }}'
{%- endmacro %}

{#- The end of that day, or the time of the cut if the day is not over; exclusive, in µs. -#}
{% macro as_of_end_us() -%}
    {{ cut_value('as_of_end_us') | int }}::bigint
{%- endmacro %}
