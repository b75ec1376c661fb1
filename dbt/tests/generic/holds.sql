{#- A condition that is true for every row. The test returns the rows for which it is not. -#}
{% test holds(model, that, column_name=none) %}
    select *
    from {{ model }}
    where not coalesce({{ that }}, false)
{% endtest %}
