"""The codes of refusals. A handler returns the first that applies, having changed nothing, or None.

`ACCOUNT_NOT_FOUND` comes first for all but `open_account`, so `engine` sees to it before any handler.
"""

from typing import Literal

Refusal = Literal[
    "ACCOUNT_EXISTS",
    "ACCOUNT_NOT_FOUND",
    "ACCOUNT_HALTED",
    "MARKET_NOT_FOUND",
    "MARKET_HALTED",
    "PRICE_STALE",
    "LEVERAGE_OUT_OF_RANGE",
    "INVALID_QUANTITY",
    "INVALID_STOP",
    "SLIPPAGE_EXCEEDED",
    "BELOW_MINIMUM",
    "LIQUIDATES_AT_ONCE",
    "ORDER_NOT_FOUND",
    "TRADE_NOT_FOUND",
    "INSUFFICIENT_BALANCE",
]

SENTENCES: dict[str, str] = {
    "ACCOUNT_EXISTS": "an account of that name is open already",
    "ACCOUNT_NOT_FOUND": "there was no such account",
    "ACCOUNT_HALTED": "the account was halted by the operator",
    "MARKET_NOT_FOUND": "there was no such market",
    "MARKET_HALTED": "the market was halted by the operator",
    "PRICE_STALE": "the market had no price that was recent enough",
    "LEVERAGE_OUT_OF_RANGE": "the leverage was outside what the market allows",
    "INVALID_QUANTITY": "the quantity was zero or no multiple of the market's step",
    "INVALID_STOP": "a level was on the wrong side of the price, or already reached",
    "SLIPPAGE_EXCEEDED": "the price had moved further from the expected one than was allowed",
    "BELOW_MINIMUM": "it was smaller than the market's minimum",
    "LIQUIDATES_AT_ONCE": "the margin was so thin that the trade would have been liquidated at once",
    "ORDER_NOT_FOUND": "the account had no such resting order (or it had a partner already)",
    "TRADE_NOT_FOUND": "the account had no such open trade",
    "INSUFFICIENT_BALANCE": "the balance did not cover it",
}
