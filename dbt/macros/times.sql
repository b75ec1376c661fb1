{#- Times on the log are µs since the epoch, UTC. These three macros are exact. -#}
{% macro at_us(time_us) -%}
    (timestamptz 'epoch' + {{ time_us }} * interval '1 microsecond')
{%- endmacro %}

{% macro day_of_us(time_us) -%}
    (date '1970-01-01' + ({{ time_us }} / 86400000000)::int)
{%- endmacro %}

{% macro start_of_day_us(day) -%}
    (({{ day }} - date '1970-01-01')::bigint * 86400000000)
{%- endmacro %}
