"""Fixed-point numbers: every price, quantity and amount is an integer of 10⁻⁸ units.

The wire form is a decimal string (`"4303.93"`). Parsing never rounds: a number that cannot be stored exactly
is refused. A number with more than `MOST_DIGITS` digits is refused too, so that products and sums stay far
below Python's own limit on the digits of an integer.
"""

from typing import Final

DECIMALS: Final = 8
SCALE: Final = 10**DECIMALS
BPS: Final = 10**4
MAX_DIGITS: Final = 1_000

_FACTORS: Final[tuple[int, ...]] = tuple(10 ** (DECIMALS - decimals) for decimals in range(DECIMALS + 1))


def parse_decimal(text: str) -> int:
    """Scaled integer of an unsigned decimal string; `ValueError` for any other text."""
    whole, point, fraction = text.partition(".")
    digits = whole + fraction
    plain = digits.isdecimal() and digits.isascii() and whole and (fraction or not point)
    if not plain or len(fraction) > DECIMALS:
        raise ValueError(f"{text[:40]!r} is not a plain decimal number with at most {DECIMALS} decimals")
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number must have at most {MAX_DIGITS} digits, this one has {len(digits)}")
    return int(digits) * _FACTORS[len(fraction)]


def format_decimal(value: int) -> str:
    """Decimal string of a scaled integer, without trailing zeros or a trailing point."""
    sign = "-" if value < 0 else ""
    whole, fraction = divmod(abs(value), SCALE)
    if not fraction:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:08d}".rstrip("0")


def divide_rounding_up(dividend: int, divisor: int) -> int:
    """Integer division, rounded toward +∞."""
    return -(-dividend // divisor)
