"""SQL of a published leaderboard: the columns of the dbt contract, and a few rows."""

MART = """
create schema marts;
create table marts.leaderboard (
    period text, rank int, account text, display_name text, profit_usd numeric(38, 8),
    return_ratio double precision, equity_usd numeric(38, 8), win_rate double precision,
    profit_factor double precision, max_drawdown double precision, sharpe double precision,
    average_holding_s double precision, trades int, minimum_trades int, days int, is_ranked boolean,
    as_of_day date, provisional boolean
);
insert into marts.leaderboard values
    ('all', 2, 'a2', 'Second', 10.5, 0.0021, 5010.5, 0.5, 1.2, -0.01, 0.4, 60, 4,
        3, 2, true, date '2025-09-06', true),
    ('all', null, 'a3', 'New', 900, null, 5900, null, null, null, null, null, 0,
        3, 0, false, date '2025-09-06', true),
    ('all', 1, 'a1', 'First', 412.07, 0.0824, 5412.07, 0.61, null, 0, 2.1, 318.5, 41,
        3, 2, true, date '2025-09-06', true),
    ('day', 1, 'a2', 'Second', -3, -0.0006, 5010.5, 0.5, 0.2, -0.01, null, 60, 4,
        3, 1, true, date '2025-09-06', true);
grant usage on schema marts to api;
grant select on marts.leaderboard to api;
"""
