"""What is divided in parts, so that it fits into a machine word, is what would be divided at once."""

from fractions import Fraction
from math import ceil, floor

from hypothesis import example, given
from hypothesis import strategies as st

from paceline.core.money import BPS, SCALE
from paceline.engine.numbers import fee_on, notional_down, notional_up, share_of

# Below, around and far beyond what a machine word holds.
amounts = st.one_of(st.integers(0, 3 * SCALE), st.integers(0, 1 << 62), st.integers(0, 10**30))
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
