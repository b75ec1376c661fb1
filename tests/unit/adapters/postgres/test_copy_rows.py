"""COPY's text form: what a value holds can never be taken for structure."""

import pytest

from paceline.adapters.postgres.copy_rows import NULL, cell


@pytest.mark.parametrize("text", ["a", "", "0:3:0", "Ünïcode", "two words", '{"a": "b"}', "NULL", "None"])
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert cell(text) == text


def test_separators_and_escapes_are_escaped() -> None:
    assert cell("a\tb\nc\\d\re") == "a\\tb\\nc\\\\d\\re"


def test_a_value_that_looks_like_null_stays_a_value() -> None:
    assert (cell(None), cell(NULL)) == (NULL, "␁")


def test_nul_has_its_picture() -> None:
    assert cell("a\x00b") == "a␀b"


def test_what_cannot_be_printed_is_kept() -> None:
    assert cell("a\u200bb\x7f") == "a\u200bb\x7f"
