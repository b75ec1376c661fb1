import pytest
from hypothesis import given
from hypothesis import strategies as st

from paceline.core.money import SCALE, divide_rounding_up, format_decimal, parse_decimal


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("1", SCALE),
        ("4303.93", 430393000000),
        ("0.00000001", 1),
        ("007.5", 750000000),
        ("92233720368547758070.1", 9223372036854775807010000000),
    ],
)
def test_decimal_string_becomes_a_scaled_integer(text: str, value: int) -> None:
    assert parse_decimal(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1.",
        ".5",
        "-1",
        "+1",
        "1e3",
        "NaN",
        "inf",
        "1,5",
        "0x10",
        "1_000",
        "1.123456789",
        " 1",
        "1 ",
        "١",
        "1\n",
    ],
)
def test_every_other_form_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r"plain decimal number with at most 8 decimals"):
        parse_decimal(text)


def test_a_number_may_have_a_thousand_digits() -> None:
    assert parse_decimal("9" * 992 + "." + "9" * 8) == 10**1_000 - 1
    with pytest.raises(ValueError, match="a number must have at most 1000 digits, this one has 1001"):
        parse_decimal("0" * 993 + "." + "0" * 8)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1, "0.00000001"),
        (-50000, "-0.0005"),
        (12050000000, "120.5"),
        (10 * SCALE, "10"),
        (-SCALE, "-1"),
    ],
)
def test_output_has_no_trailing_zero_and_no_trailing_point(value: int, text: str) -> None:
    assert format_decimal(value) == text


@given(st.integers(min_value=0, max_value=10**30))
def test_a_formatted_decimal_parses_to_the_same_value(value: int) -> None:
    assert parse_decimal(format_decimal(value)) == value


@given(st.integers(-(10**20), 10**20), st.integers(1, 10**12))
def test_div_up_is_the_smallest_integer_not_below_the_quotient(dividend: int, divisor: int) -> None:
    quotient = divide_rounding_up(dividend, divisor)
    assert (quotient - 1) * divisor < dividend <= quotient * divisor
