"""The engine's refusals as sentences for people."""

from typing import Final

SENTENCES: Final = {
    "ACCOUNT_EXISTS": "The account is already open.",
    "ACCOUNT_NOT_FOUND": "The account is not open yet. Try again in a moment.",
    "ACCOUNT_HALTED": "The account is halted. It can close, amend and cancel, but not open anything new.",
    "BELOW_MINIMUM": "The size is below the market's minimum.",
    "INSUFFICIENT_BALANCE": "The free balance is too low for this and its fee.",
    "INVALID_QUANTITY": "The quantity must be above zero and a multiple of the market's quantity step.",
    "INVALID_STOP": "A stop, take profit, trailing distance or trigger is on the wrong side of the price.",
    "LEVERAGE_OUT_OF_RANGE": "The leverage is outside the market's range.",
    "LIQUIDATES_AT_ONCE": "The margin is too small for this leverage: the trade would be liquidated at once.",
    "MARKET_HALTED": "The market is halted. Try again when it is resumed.",
    "MARKET_NOT_FOUND": "The market does not exist. Check the symbol.",
    "ORDER_NOT_FOUND": "The account has no such resting order.",
    "PRICE_STALE": "The market has no recent price. Try again when prices arrive.",
    "SLIPPAGE_EXCEEDED": "The price is further from the expected price than the slippage bound allows.",
    "TRADE_NOT_FOUND": "The account has no such open trade.",
}


def refusal_sentence(code: str | None) -> str:
    """The sentence of a refusal; one with the code if the code has no sentence yet."""
    return SENTENCES.get(code or "", f"The engine refused this: {code}.")
