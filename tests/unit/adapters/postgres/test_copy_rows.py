"""COPY's text form: no value can be read as a separator, an escape or null."""

import pytest

from paceline.adapters.postgres.copy_rows import NULL, cell


@pytest.mark.parametrize("text", ["a", "", "0:3:0", "Ünïcode", "two words", '{"a": "b"}', "NULL", "None"])
def test_plain_text_is_unchanged(text: str) -> None:
    assert cell(text) == text


def test_separators_and_escapes_are_escaped() -> None:
    assert cell("a\tb\nc\\d\re") == "a\\tb\\nc\\\\d\\re"


def test_a_value_that_looks_like_null_is_kept_as_a_value() -> None:
    assert (cell(None), cell(NULL)) == (NULL, "␁")


def test_nul_is_replaced_by_its_symbol() -> None:
    assert cell("a\x00b") == "a␀b"


def test_unprintable_characters_are_kept() -> None:
    assert cell("a\u200bb\x7f") == "a\u200bb\x7f"
