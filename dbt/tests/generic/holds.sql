{#- A statement that is true of every row; the failing rows are those of which it is not. -#}
{% test holds(model, that, column_name=none) %}
    select *
    from {{ model }}
    where not coalesce({{ that }}, false)
{% endtest %}
