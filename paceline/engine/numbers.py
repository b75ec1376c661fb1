"""All divisions of the engine. All are of integers, and each states how it rounds.

Prices, quantities and money are integers of 10⁻⁸ units (`SCALE`), rates are basis points (`BPS`).
"""

from typing import Final

from mypy_extensions import i64

from paceline.core.money import BPS, SCALE

_STEP: Final = 10_000  # SCALE is its square
_WORD_LIMIT: Final = 1 << 49  # a number below it, times _STEP, still fits into a machine word


def notional_up(price: int, quantity: int) -> int:
    """Rounded up: for amounts charged or locked, and as the base of fees and the maintenance margin."""
    whole, rest = _notional(price, quantity)
    return whole + (rest + SCALE - 1) // SCALE


def notional_down(price: int, quantity: int) -> int:
    """Rounded down: for amounts that are paid out or compared with the minimum."""
    whole, rest = _notional(price, quantity)
    return whole + rest // SCALE


def _notional(price: int, quantity: int) -> tuple[int, int]:
    """`price × quantity / SCALE`: a whole number, and the rest that is still to be divided by `SCALE`.

    Units and fractions are multiplied apart: when compiled, a factor above 31 bits takes 20 times as long.
    """
    units, fraction = price // SCALE, price % SCALE
    lots, part = quantity // SCALE, quantity % SCALE
    return units * lots * SCALE + units * part + fraction * lots, fraction * part


def share_of(notional: int, rate_bps: int) -> int:
    """A fee or the maintenance margin, rounded up. Computed in two parts, as in `_notional`."""
    return notional // BPS * rate_bps + (notional % BPS * rate_bps + BPS - 1) // BPS


def fee_on(price: int, quantity: int, rate_bps: int) -> int:
    return share_of(notional_up(price, quantity), rate_bps)


def profit_of(long: bool, entry: int, exit_price: int, quantity: int) -> int:
    """Profit before the fee, rounded toward −∞."""
    return (exit_price - entry if long else entry - exit_price) * quantity // SCALE


def margin_of_part(margin: int, part: int, quantity: int) -> int:
    """The margin released with a part of the quantity: rounded down; all of it with the whole quantity."""
    assert 0 < part <= quantity
    if part == quantity:  # most closings; this avoids a product larger than a machine word
        return margin
    return margin * part // quantity


def down_to_step(quantity: int, step: int) -> int:
    return quantity - quantity % step


def quantity_of(margin: int, leverage: int, entry: int, step: int) -> int:
    """The quantity that a margin buys at a leverage, rounded down to the market's step."""
    notional = margin // SCALE * leverage * SCALE + margin % SCALE * leverage  # two parts, as in `_notional`
    return down_to_step(_scaled_quotient(notional, entry), step)


def _scaled_quotient(dividend: int, divisor: int) -> int:
    """`dividend × SCALE / divisor`, rounded toward −∞: a long division in two steps, each in machine words.

    The product itself does not fit into a machine word, and when compiled would take 20 times as long.
    """
    if not (-_WORD_LIMIT < dividend < _WORD_LIMIT and 0 < divisor < _WORD_LIMIT):
        return dividend * SCALE // divisor
    left: i64 = dividend
    by: i64 = divisor
    whole = left // by
    left = (left - whole * by) * _STEP
    high = left // by
    left = (left - high * by) * _STEP
    return int(whole) * SCALE + int(high * _STEP + left // by)


def liquidation_level(long: bool, entry: int, quantity: int, margin: int, maintenance: int) -> int | None:
    """The price at which only the maintenance margin is left; None if that price is not above zero."""
    distance = _scaled_quotient(margin - maintenance, quantity)
    if not long:
        return entry + distance
    level = entry - distance
    return level if level > 0 else None


def exceeds_slippage(buying: bool, price: int, expected: int | None, slippage_bps: int | None) -> bool:
    """Whether the price is worse than expected by more than the bound. False unless both are given."""
    if expected is None or slippage_bps is None:
        return False
    if buying:
        return price * BPS > expected * (BPS + slippage_bps)
    return price * BPS < expected * (BPS - slippage_bps)
