"""Both decoders of the JSON form accept the same messages and read the same values."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paceline.messages.inbound import SETS_STOP_LOSS, SETS_TAKE_PROFIT, SETS_TRAILING_STOP, AmendTrade
from paceline.messages.json_form import DecodeError, decode_line, to_json
from tests.support.engine_messages import UNDECODABLE, Scenario
from tests.support.reference import decoding
from tests.support.reference.decoding import Undecodable

BITS = {"stop_loss": SETS_STOP_LOSS, "take_profit": SETS_TAKE_PROFIT, "trailing_stop": SETS_TRAILING_STOP}
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**66), 2**66),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.from_regex(r"[0-9]{1,12}(\.[0-9]{1,9})?", fullmatch=True),
    st.from_regex(r"[-+ ]?[0-9.]{1,5}(e[0-9])?[ \n]?", fullmatch=True),
    st.sampled_from(
        [
            "0",
            "0.00000000",
            "00",
            "1.",
            ".1",
            "٣",
            "1_0",
            "0x1",
            "NaN",
            "long",
            "buy",
            "limit",
            "0:1:0",
            "a\0b",
        ]
    ),
    st.lists(st.integers(), max_size=2),
    st.just({}),
)
MESSAGES = [
    json.loads(line) for line in Scenario(1, 400).lines if line.startswith('{"type"') and line.endswith('"}')
]


def check(line: str) -> bool:
    """Return whether both decoders accept the line. Fails if they differ in that or in a value."""
    try:
        expected = decoding.decode_line(line)
    except Undecodable:
        with pytest.raises(DecodeError):
            decode_line(line)
        return False
    message = decode_line(line)
    for name in set(expected) - {"type", "kind"}:
        assert getattr(message, name) == expected[name], name
    if isinstance(message, AmendTrade):
        assert message.sets == sum(bit for name, bit in BITS.items() if name in expected)
    assert decode_line(json.dumps(to_json(message))) == message
    return True


@settings(max_examples=300, deadline=None, database=None, print_blob=True)
@given(st.sampled_from(MESSAGES), st.randoms(use_true_random=False), VALUES)
def test_decoders_agree_on_messages_with_one_changed_field(
    message: dict[str, Any], rng: Random, value: Any
) -> None:
    changed = message | {rng.choice(sorted(message)): value}
    if rng.random() < 0.2:
        del changed[rng.choice(sorted(changed))]
    check(json.dumps(changed, ensure_ascii=rng.random() < 0.5))


@settings(max_examples=100, deadline=None, database=None, print_blob=True)
@given(
    st.text(max_size=30)
    | st.recursive(VALUES, lambda v: st.lists(v) | st.dictionaries(st.text(), v)).map(json.dumps)
)
def test_both_decoders_refuse_arbitrary_text_and_json(line: str) -> None:
    assert not check(line)


@pytest.mark.parametrize(
    "message", {m.get("kind"): m for m in MESSAGES}.values(), ids=lambda m: m.get("kind")
)
def test_nul_is_refused_in_every_text_of_an_instruction(message: dict[str, Any]) -> None:
    names = {"id", "account", "symbol", "base", "trade", "order", "oco_with"} & message.keys()
    for name in names:
        assert check(json.dumps(message | {name: "a\0b"})) == (message["type"] == "price_update"), name


@pytest.mark.parametrize("line", UNDECODABLE)
def test_both_decoders_refuse_the_undecodable_lines(line: str) -> None:
    assert not check(line)


def test_both_decoders_accept_generated_messages() -> None:
    lines = [line for line in Scenario(2, 400).lines if line not in UNDECODABLE]
    refused = [line for line in lines if not check(line)]
    assert refused == []
