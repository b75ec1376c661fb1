"""The only places where the engine divides. Always integers; each says which way it rounds.

Prices, quantities and money are integers of 10⁻⁸ units (`SCALE`), rates are basis points (`BPS`).
"""

from typing import Final

from mypy_extensions import i64

from paceline.core.money import BPS, SCALE

_STEP: Final = 10_000  # SCALE is its square
_IN_A_WORD: Final = 1 << 49  # times a step, it still is


def notional_up(price: int, quantity: int) -> int:
    """Where it is charged, locked, or the base of a fee or of the maintenance."""
    whole, rest = _notional(price, quantity)
    return whole + (rest + SCALE - 1) // SCALE


def notional_down(price: int, quantity: int) -> int:
    """Where it is paid out or held against the minimum."""
    whole, rest = _notional(price, quantity)
    return whole + rest // SCALE


def _notional(price: int, quantity: int) -> tuple[int, int]:
    """`price × quantity / SCALE`: a whole number, and what is to be divided by `SCALE` and added to it.

    Units and fractions are multiplied apart: compiled, a factor beyond 31 bits costs twenty times as much.
    """
    units, fraction = price // SCALE, price % SCALE
    lots, part = quantity // SCALE, quantity % SCALE
    return units * lots * SCALE + units * part + fraction * lots, fraction * part


def share_of(notional: int, rate_bps: int) -> int:
    """A fee or the maintenance: rounded up. In two parts, as above."""
    return notional // BPS * rate_bps + (notional % BPS * rate_bps + BPS - 1) // BPS


def fee_on(price: int, quantity: int, rate_bps: int) -> int:
    return share_of(notional_up(price, quantity), rate_bps)


def profit_of(long: bool, entry: int, exit_price: int, quantity: int) -> int:
    """Before the fee; rounded toward −∞."""
    return (exit_price - entry if long else entry - exit_price) * quantity // SCALE


def margin_of_part(margin: int, part: int, quantity: int) -> int:
    """What leaves of a margin with a part of the quantity: rounded down, and all of it with all of that."""
    if part == quantity:  # most closings; spares them a product beyond a machine word
        return margin
    return margin * part // quantity


def down_to_step(quantity: int, step: int) -> int:
    return quantity - quantity % step


def quantity_of(margin: int, leverage: int, entry: int, step: int) -> int:
    """What a margin buys at a leverage, down to the market's step."""
    notional = margin // SCALE * leverage * SCALE + margin % SCALE * leverage  # in two parts, as above
    return down_to_step(_scaled_quotient(notional, entry), step)


def _scaled_quotient(dividend: int, divisor: int) -> int:
    """`dividend × SCALE / divisor`, rounded toward −∞: a long division in two steps, each in machine words.

    Compiled, the product would leave the word, and cost twenty times as much.
    """
    if not (-_IN_A_WORD < dividend < _IN_A_WORD and 0 < divisor < _IN_A_WORD):
        return dividend * SCALE // divisor
    left: i64 = dividend
    by: i64 = divisor
    whole = left // by
    left = (left - whole * by) * _STEP
    high = left // by
    left = (left - high * by) * _STEP
    return int(whole) * SCALE + int(high * _STEP + left // by)


def liquidation_level(long: bool, entry: int, quantity: int, margin: int, maintenance: int) -> int | None:
    """The price at which only the maintenance is left of the margin; None where no price is that low."""
    distance = _scaled_quotient(margin - maintenance, quantity)
    if not long:
        return entry + distance
    level = entry - distance
    return level if level > 0 else None


def slips(buying: bool, price: int, expected: int | None, slippage_bps: int | None) -> bool:
    """Is the price worse than expected by more than was allowed? Only where both are given."""
    if expected is None or slippage_bps is None:
        return False
    if buying:
        return price * BPS > expected * (BPS + slippage_bps)
    return price * BPS < expected * (BPS - slippage_bps)
