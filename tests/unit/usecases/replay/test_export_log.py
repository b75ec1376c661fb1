"""The exported log decodes to the same messages, and undecodable ones keep their positions."""

import pytest

from paceline.messages.json_form import DecodeError, decode_line
from paceline.messages.log_form import Undecodable, decode_effects, encode_effects, encode_messages
from paceline.usecases.replay.export_log import line_of, lines_of_record
from tests.support.scenario_log import day, scenario_messages


def test_exported_messages_decode_to_the_same_messages() -> None:
    messages = [m for m in scenario_messages(seed=0, length=400) if not isinstance(m, Undecodable)]
    lines = lines_of_record(encode_messages(messages))
    assert [decode_line(line) for line in lines] == messages


@pytest.mark.parametrize("raw", [b"", b"\xc1", b"\x00\xff", b'{"a": 1}'])
def test_an_undecodable_message_stays_undecodable(raw: bytes) -> None:
    line = line_of(Undecodable(raw, "no\nmessage"))
    assert b"\n" not in line
    with pytest.raises(DecodeError):
        decode_line(line)


def test_effects_beyond_64_bits_are_encoded_as_json() -> None:
    effects = day(scenario_messages(seed=0, length=300)).effects
    plain = encode_effects(effects)
    assert decode_effects(plain) == effects
    huge = [type(effects[0])(e.position + 2**70, e.time, e.message, e.outputs) for e in effects]
    assert encode_effects(huge).startswith(b"[")
    assert decode_effects(encode_effects(huge)) == huge
