"""Numbers of the specification: integers of 10⁻⁸ units, and all divisions with their rounding."""

import re

ONE = 10**8
BPS = 10**4
DAY_US = 24 * 60 * 60 * 1_000_000

# Added by docs/engine.md: longer texts are not numbers.
_MOST_DIGITS = 1000
_DECIMAL = re.compile(r"([0-9]+)(?:\.([0-9]{1,8}))?", re.ASCII)


def scaled(text: str) -> int:
    """`"4303.93"` → 430393000000; `ValueError` for any other form."""
    form = _DECIMAL.fullmatch(text)
    if form is None:
        raise ValueError(f"not a decimal: {text!r}")
    whole, decimals = form.group(1), form.group(2) or ""
    if len(whole + decimals) > _MOST_DIGITS:
        raise ValueError(f"too many digits: {text[:20]!r}…")
    return int(whole) * ONE + int((decimals + "00000000")[:8])


def decimal(value: int) -> str:
    """430393000000 → `"4303.93"`: no trailing zeros, no trailing point."""
    sign, whole, fraction = "-" if value < 0 else "", abs(value) // ONE, abs(value) % ONE
    decimals = f"{fraction:08d}".rstrip("0")
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"


def divided_up(a: int, b: int) -> int:
    quotient, rest = divmod(a, b)
    return quotient + 1 if rest else quotient


def down_to_step(quantity: int, step: int) -> int:
    return quantity - quantity % step


def trade_quantity(margin: int, leverage: int, entry: int, step: int) -> int:
    return down_to_step(margin * leverage * ONE // entry, step)


def notional_up(price: int, quantity: int) -> int:
    """Used for amounts that are charged or locked, and as the base of fees and of the maintenance."""
    return divided_up(price * quantity, ONE)


def notional_down(price: int, quantity: int) -> int:
    """Used for amounts that are paid out, and for the check of the minimum."""
    return price * quantity // ONE


def share_of_notional(price: int, quantity: int, rate_bps: int) -> int:
    """Used for fees and for the maintenance."""
    return divided_up(notional_up(price, quantity) * rate_bps, BPS)


def profit(side: str, entry: int, exit_price: int, quantity: int) -> int:
    gain = exit_price - entry if side == "long" else entry - exit_price
    return gain * quantity // ONE


def liquidation_level(side: str, entry: int, quantity: int, margin: int, rate_bps: int) -> int | None:
    """Returns None for a long that no price can liquidate."""
    maintenance = share_of_notional(entry, quantity, rate_bps)
    distance = (margin - maintenance) * ONE // quantity
    if side == "short":
        return entry + distance
    return entry - distance if entry - distance > 0 else None


def slipped(rising: bool, price: int, expected: int | None, slippage_bps: int | None) -> bool:
    """Whether a price is worse than its bound, if there is one; `rising` is True for buys and longs."""
    if expected is None or slippage_bps is None:
        return False
    if rising:
        return price * BPS > expected * (BPS + slippage_bps)
    return price * BPS < expected * (BPS - slippage_bps)
