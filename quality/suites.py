"""The expectations as data: for each table, the class of Great Expectations and its arguments.

`{batch}` in a query is the table. A query selects the rows that break the rule in `description`.
"""

from typing import Any, Final

Expectation = tuple[str, dict[str, Any]]


def _no_rows(description: str, query: str) -> Expectation:
    return "UnexpectedRowsExpectation", {"description": description, "unexpected_rows_query": query}


def _between(column: str, low: float | None, high: float | None) -> Expectation:
    values = {"column": column, "min_value": low, "max_value": high}
    return "ExpectColumnValuesToBeBetween", values


def _not_fewer(table: str) -> Expectation:
    """History only grows: a model must not have fewer rows than the published one."""
    return _no_rows(
        f"not fewer rows than the published {table}",
        "select published.rows as published_rows, built.rows as new_rows from "  # noqa: S608 - parts are constants of this module, values are bound
        f"(select count(*) as rows from {{published}}.{table}) as published, "
        "(select count(*) as rows from {batch}) as built where built.rows < published.rows",
    )


SUITES: Final[dict[str, list[Expectation]]] = {
    "next_intermediate.int_trades_enriched": [
        _no_rows(
            "the profit of a closed trade is (exit − entry) × quantity, rounded down; the sign is "
            "reversed for a short",
            "select closed_order, trade, account, side, quantity, entry_price_usd, exit_price_usd, "
            "profit_usd from {batch} "
            "where profit_usd is distinct from floor((case side when 'long' then exit_price_usd - "
            "entry_price_usd "
            "else entry_price_usd - exit_price_usd end) * quantity * 1e8) / 1e8",
        ),
        _no_rows(
            "net profit = profit + insured − fees, and no loss is larger than margin and fees",
            "select * from {batch} where net_profit_usd <> profit_usd + insured_usd - exit_fee_usd - "
            "entry_fee_share_usd "
            "or profit_usd + insured_usd < -margin_usd",
        ),
        _no_rows(
            "no trade is closed before it is opened", "select * from {batch} where closed_us < opened_us"
        ),
        _between("leverage", 1, None),
        _between("exit_fee_usd", 0, None),
        _between("entry_fee_share_usd", 0, None),
    ],
    "next_marts.fct_closed_trades": [
        ("ExpectColumnValuesToBeUnique", {"column": "trade"}),
        ("ExpectColumnValuesToNotBeNull", {"column": "net_profit_usd"}),
        _between("holding_s", 0, None),
        _not_fewer("fct_closed_trades"),
    ],
    "next_marts.fct_balances": [
        _no_rows(
            "every balance follows from the history: cash + margin + locked = deposits + results − fees",
            "select account, cash_usd, margin_usd, locked_usd, unexplained_usd from {batch} where "
            "unexplained_usd <> 0",
        ),
        _between("cash_usd", 0, None),
        _between("margin_usd", 0, None),
        _between("locked_usd", 0, None),
    ],
    "next_marts.fct_account_days": [
        _between("equity_usd", 0, None),
        _between("exposure_usd", 0, None),
        _between("fees_usd", 0, None),
        _between("return_ratio", -1, None),
        _no_rows(
            "no day is missing between the first and last day of an account",
            "select account, min(day) as first_day, max(day) as last_day, count(*) as days from {batch} "
            "group by account having count(*) <> max(day) - min(day) + 1",
        ),
    ],
    "next_marts.dim_accounts": [
        _not_fewer("dim_accounts"),
        _no_rows(
            "every account has metrics for the last day",
            "select account from {batch} where opened_at < (select as_of_at from next_marts.dim_cut) "
            "and account not in "
            "(select account from next_marts.leaderboard where period = 'all')",
        ),
    ],
    "next_marts.leaderboard": [
        ("ExpectColumnValuesToBeInSet", {"column": "period", "value_set": ["day", "week", "month", "all"]}),
        ("ExpectColumnValuesToNotBeNull", {"column": "display_name"}),
        _between("win_rate", 0, 1),
        _between("profit_factor", 0, None),
        _between("max_drawdown", -1, 0),
        _between("return_ratio", -1, None),
        _between("average_holding_s", 0, None),
        _between("trades", 0, None),
        _no_rows(
            "ranks of a period run from 1 without gaps or ties, in the order of returns",
            "select * from (select *, row_number() over (partition by period order by return_ratio desc, "
            "profit_usd desc, account) as expected_rank from {batch} where is_ranked) as ranked "
            "where rank is distinct from expected_rank",
        ),
        _no_rows(
            "only accounts with the minimum history have a rank",
            "select * from {batch} where is_ranked <> (rank is not null) or (is_ranked and trades < "
            "minimum_trades)",
        ),
        _no_rows(
            "an account's profit over all time is its equity less its net deposits",
            "select board.account, board.profit_usd, board.equity_usd, paid.amount_usd from {batch} as "
            "board join "
            "(select account, sum(deposited_usd) as amount_usd from next_marts.fct_account_days group "
            "by account) "
            "as paid using (account) where board.period = 'all' and board.profit_usd <> "
            "board.equity_usd - paid.amount_usd",
        ),
    ],
}
