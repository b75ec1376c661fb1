"""Divisions in machine words give the same result as one division of large integers."""

from fractions import Fraction
from math import ceil, floor

from hypothesis import example, given
from hypothesis import strategies as st

from paceline.core.money import BPS, SCALE
from paceline.engine.numbers import (
    fee_on,
    liquidation_level,
    margin_of_part,
    notional_down,
    notional_up,
    quantity_of,
    share_of,
)

# Below, around and far beyond the range of a machine word.
amounts = st.one_of(st.integers(0, 3 * SCALE), st.integers(0, 1 << 62), st.integers(0, 10**30))
positive = amounts.filter(bool)
rates = st.integers(0, 2 * BPS)


@given(price=amounts, quantity=amounts)
@example(price=0, quantity=0)
@example(price=1, quantity=1)
@example(price=SCALE - 1, quantity=SCALE + 1)
@example(price=1 << 62, quantity=SCALE)
def test_a_notional_is_rounded_once(price: int, quantity: int) -> None:
    exact = Fraction(price * quantity, SCALE)
    assert (notional_down(price, quantity), notional_up(price, quantity)) == (floor(exact), ceil(exact))


@given(notional=amounts, rate_bps=rates)
@example(notional=BPS, rate_bps=1)
@example(notional=BPS + 1, rate_bps=1)
@example(notional=(1 << 31) * BPS, rate_bps=BPS)
def test_a_share_is_rounded_up_once(notional: int, rate_bps: int) -> None:
    assert share_of(notional, rate_bps) == ceil(Fraction(notional * rate_bps, BPS))


@given(price=amounts, quantity=amounts, rate_bps=rates)
def test_a_fee_is_the_share_of_the_notional_rounded_up(price: int, quantity: int, rate_bps: int) -> None:
    base = ceil(Fraction(price * quantity, SCALE))
    assert fee_on(price, quantity, rate_bps) == ceil(Fraction(base * rate_bps, BPS))


@given(margin=amounts, leverage=st.integers(1, 1 << 40), entry=positive, step=st.integers(1, 10 * SCALE))
@example(margin=100 * SCALE, leverage=5, entry=60_000 * SCALE, step=1_000)
@example(margin=(1 << 49) - 1, leverage=1, entry=1, step=1)
@example(margin=(1 << 49) - 1, leverage=1, entry=(1 << 49) - 1, step=1)
@example(margin=1 << 49, leverage=1, entry=(1 << 49) - 1, step=1)
def test_a_quantity_is_rounded_down_to_the_step(margin: int, leverage: int, entry: int, step: int) -> None:
    exact = floor(Fraction(leverage * margin * SCALE, entry))
    assert quantity_of(margin, leverage, entry, step) == exact // step * step


@given(entry=positive, quantity=positive, margin=amounts, maintenance=amounts)
@example(entry=100 * SCALE, quantity=SCALE, margin=1, maintenance=2)
@example(entry=SCALE, quantity=(1 << 49) - 1, margin=0, maintenance=(1 << 49) - 1)
@example(entry=SCALE, quantity=3, margin=1, maintenance=0)
def test_a_liquidation_level_is_rounded_once(
    entry: int, quantity: int, margin: int, maintenance: int
) -> None:
    """Also valid for a margin below its maintenance, which is refused later."""
    distance = floor(Fraction((margin - maintenance) * SCALE, quantity))
    long, short = (liquidation_level(side, entry, quantity, margin, maintenance) for side in (True, False))
    assert (long, short) == (entry - distance if entry > distance else None, entry + distance)


@given(margin=amounts, quantity=positive, data=st.data())
def test_the_margin_of_a_part_is_rounded_down_and_of_the_whole_is_exact(
    margin: int, quantity: int, data: st.DataObject
) -> None:
    part = data.draw(st.integers(1, quantity))
    assert margin_of_part(margin, part, quantity) == floor(Fraction(margin * part, quantity))
    assert margin_of_part(margin, quantity, quantity) == margin
