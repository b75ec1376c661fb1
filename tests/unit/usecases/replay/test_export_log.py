"""The exported log decodes to what was on it, and keeps the places of what did not decode."""

import pytest

from paceline.messages.json_form import DecodeError, decode_line
from paceline.messages.log_form import Undecodable, decode_effects, encode_effects, encode_messages
from paceline.usecases.replay.export_log import line_of, lines_of_record
from tests.support.scenario_log import day, scenario_messages


def test_messages_survive_the_way_through_the_log_and_out() -> None:
    messages = [m for m in scenario_messages(seed=0, length=400) if not isinstance(m, Undecodable)]
    lines = lines_of_record(encode_messages(messages))
    assert [decode_line(line) for line in lines] == messages


@pytest.mark.parametrize("raw", [b"", b"\xc1", b"\x00\xff", b'{"a": 1}'])
def test_what_did_not_decode_does_not_decode_again(raw: bytes) -> None:
    line = line_of(Undecodable(raw, "no\nmessage"))
    assert b"\n" not in line
    with pytest.raises(DecodeError):
        decode_line(line)


def test_effects_beyond_64_bits_travel_as_json() -> None:
    effects = day(scenario_messages(seed=0, length=300)).effects
    plain = encode_effects(effects)
    assert decode_effects(plain) == effects
    huge = [type(effects[0])(e.position + 2**70, e.time, e.message, e.outputs) for e in effects]
    assert encode_effects(huge).startswith(b"[")
    assert decode_effects(encode_effects(huge)) == huge
