"""The codes of refusals. A handler returns the first that applies and changes nothing, or returns None.

`ACCOUNT_NOT_FOUND` comes first for all but `open_account`, so `engine` checks it before it calls a handler.
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
    "ACCOUNT_EXISTS": "the account is already open",
    "ACCOUNT_NOT_FOUND": "the account does not exist",
    "ACCOUNT_HALTED": "the account is halted by the operator",
    "MARKET_NOT_FOUND": "the market does not exist",
    "MARKET_HALTED": "the market is halted by the operator",
    "PRICE_STALE": "the market has no recent price",
    "LEVERAGE_OUT_OF_RANGE": "the leverage is outside the market's range",
    "INVALID_QUANTITY": "the quantity is zero or not a multiple of the market's step",
    "INVALID_STOP": "a level is on the wrong side of the price, or already reached",
    "SLIPPAGE_EXCEEDED": "the price is further from the expected price than the bound allows",
    "BELOW_MINIMUM": "the size is below the market's minimum",
    "LIQUIDATES_AT_ONCE": "the margin is too small: the trade would be liquidated at once",
    "ORDER_NOT_FOUND": "the account has no such resting order, or the order has a partner already",
    "TRADE_NOT_FOUND": "the account has no such open trade",
    "INSUFFICIENT_BALANCE": "the balance is too low",
}
