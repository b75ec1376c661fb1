"""Fixed-point numbers: every price, quantity and amount is an integer of 10⁻⁸ units.

The wire form is a decimal string (`"4303.93"`). Nothing is ever rounded on the way in: a form
that cannot be held exactly is refused.
"""

import re
from typing import Final

DECIMALS: Final = 8
SCALE: Final = 10**DECIMALS
BPS: Final = 10**4

_FORM = re.compile(r"[0-9]+(?:\.[0-9]{1,8})?", re.ASCII)


def parse_decimal(text: str) -> int:
    """Scaled integer of an unsigned decimal string; `ValueError` in words for any other form."""
    if _FORM.fullmatch(text) is None:
        raise ValueError(f"{text[:40]!r} is not a plain decimal number with at most {DECIMALS} decimals")
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(DECIMALS, "0"))


def format_decimal(value: int) -> str:
    """Decimal string of a scaled integer, without trailing zeros and without a trailing point."""
    sign = "-" if value < 0 else ""
    whole, fraction = divmod(abs(value), SCALE)
    if not fraction:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:08d}".rstrip("0")


def div_up(dividend: int, divisor: int) -> int:
    """Integer division toward +∞."""
    return -(-dividend // divisor)
