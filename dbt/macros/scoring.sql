{#-
  The metrics of the leaderboard. Ratios are double precision; amounts of money are exact numerics.
  Each metric equals that of empyrical on daily returns, annualised over 365 days, because these markets never
  close. If empyrical returns NaN or infinity, the metric is null. Floating-point sums have a fixed order, so
  that a rerun gives the same bits.
-#}

{#-
  Weight of a deposit or withdrawal in the time-weighted equity of a period (Modified Dietz): the share of the
  period that remains after it. A period starts when the account opened, if that is later.
-#}
{% macro flow_weight(time_us, start_us, end_us) -%}
    case
        when {{ end_us }} > {{ start_us }}
            then least(1, greatest(0, ({{ end_us }} - {{ time_us }})::double precision / ({{ end_us }} - {{ start_us }})))
        else 1
    end
{%- endmacro %}

{#- Return on time-weighted equity: profit ÷ (equity at the start + each deposit × its weight). -#}
{% macro return_on(profit_usd, capital_usd) -%}
    case when {{ capital_usd }} > 0 then {{ profit_usd }}::double precision / {{ capital_usd }} end
{%- endmacro %}

{#- Win rate: the share of trades closed in the period whose profit after all fees is above zero. -#}
{% macro win_rate(net_profit_usd) -%}
    avg(case when {{ net_profit_usd }} > 0 then 1.0::double precision else 0.0 end)
{%- endmacro %}

{#- Profit factor: total profit of winning trades ÷ total loss of losing trades, after fees; null without losses. -#}
{% macro profit_factor(net_profit_usd) -%}
    (sum(greatest({{ net_profit_usd }}, 0)) / nullif(-sum(least({{ net_profit_usd }}, 0)), 0))::double precision
{%- endmacro %}

{#-
  A query over daily returns in `relation` (columns: `keys`, `day`, `return_ratio`; days without a return are
  excluded), one row for each of `keys`:
  * `days`: days that have a return.
  * `compound_return`: Π(1 + r) − 1.
  * `max_drawdown`: the largest fall of Π(1 + r), which starts at 1, from its highest value so far, as a ratio
    of that value: 0 or negative, −0.25 if a quarter was lost.
  * `sharpe`: mean(r) ÷ sample standard deviation(r) × √365, for two days or more; null if all days
    are equal. The risk-free rate is 0.
-#}
{% macro return_statistics(relation, keys) -%}
    {%- set by = keys | join(', ') -%}
    select
        {{ by }},
        count(*)::int as days,
        (array_agg(wealth order by day desc))[1] - 1 as compound_return,
        min(wealth / peak - 1) as max_drawdown,
        case
            when max(return_ratio) > min(return_ratio)
                then avg(return_ratio order by day) / stddev_samp(return_ratio order by day) * sqrt(365)
        end as sharpe
    from (
        select
            *,
            greatest(1, max(wealth) over (partition by {{ by }} order by day)) as peak
        from (
            select
                *,
                case
                    when bool_or(return_ratio <= -1) over (partition by {{ by }} order by day) then 0
                    else exp(
                        sum(ln(case when return_ratio > -1 then 1 + return_ratio else 1 end))
                            over (partition by {{ by }} order by day)
                    )
                end as wealth
            from {{ relation }}
            where return_ratio is not null
        ) as compounded
    ) as peaked
    group by {{ by }}
{%- endmacro %}
