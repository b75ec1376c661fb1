"""COPY's text form: what a value holds can never be taken for structure."""

from paceline.adapters.postgres.copy_rows import copy_text


def test_plain_values() -> None:
    assert copy_text([("a", 1, True, None), ("b", 2, False, "5e-8")]) == (
        b"a\t1\tTrue\t\x01\nb\t2\tFalse\t5e-8\n"
    )


def test_separators_and_escapes_inside_values() -> None:
    assert copy_text([("a\tb", "c\nd"), ("e\\f", "g\rh")]) == b"a\\tb\tc\\nd\ne\\\\f\tg\\rh\n"


def test_a_value_that_looks_like_null_stays_a_value() -> None:
    assert copy_text([("\x01", None)]) == "␁\t\x01\n".encode()


def test_nul_has_its_picture() -> None:
    assert copy_text([("a\x00b",)]) == "a␀b\n".encode()
