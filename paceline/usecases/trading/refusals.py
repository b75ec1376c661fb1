"""The engine's refusals in words for people."""

from typing import Final

SENTENCES: Final = {
    "ACCOUNT_EXISTS": "This account is open already.",
    "ACCOUNT_NOT_FOUND": "The engine does not know this account yet. Try again in a moment.",
    "ACCOUNT_HALTED": "This account is halted: it may close, amend and cancel, but not open anything new.",
    "BELOW_MINIMUM": "This is smaller than the market's minimum.",
    "INSUFFICIENT_BALANCE": "There is not enough free balance for this and its fee.",
    "INVALID_QUANTITY": "The quantity must be above zero and a multiple of the market's quantity step.",
    "INVALID_STOP": "A stop, take profit, trailing distance or trigger is on the wrong side of the price.",
    "LEVERAGE_OUT_OF_RANGE": "The leverage is outside what this market allows.",
    "LIQUIDATES_AT_ONCE": "With this margin and leverage the trade would be liquidated at once.",
    "MARKET_HALTED": "This market is halted at the moment.",
    "MARKET_NOT_FOUND": "There is no market with this symbol.",
    "ORDER_NOT_FOUND": "There is no such resting order of yours.",
    "PRICE_STALE": "There is no recent price for this market. Try again when prices flow.",
    "SLIPPAGE_EXCEEDED": "The price has moved away further than your bound allows.",
    "TRADE_NOT_FOUND": "There is no such open trade of yours.",
}


def sentence_of(code: str | None) -> str:
    """What a refusal means; the code itself where there are no words for it yet."""
    return SENTENCES.get(code or "", f"The engine refused this: {code}.")
