"""Scaled integers (10⁻⁸ units) to and from `numeric(38, 8)` columns (units); exact in both directions."""

from collections.abc import Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

from paceline.core.money import DECIMALS, format_decimal

# Wide enough for any numeric(38, 8); raises instead of rounding.
_EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])


def to_numeric(value: int) -> Decimal:
    """A scaled integer in units."""
    return Decimal(value).scaleb(-DECIMALS, _EXACT)


def from_numeric(value: Decimal) -> int:
    """Units as a scaled integer; `decimal.Inexact` for more than 8 decimals."""
    return int(value.scaleb(DECIMALS, _EXACT).to_integral_exact(context=_EXACT))


def with_decimal_text(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its exact numbers as decimal strings."""
    return {
        name: format_decimal(from_numeric(value)) if isinstance(value, Decimal) else value
        for name, value in row.items()
    }
