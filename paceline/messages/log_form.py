"""The form on Kafka: msgpack arrays. A record's value is a batch, decoded message by message if need be."""

from collections.abc import Iterator, Sequence
from typing import final

import msgspec
from msgspec import Struct

from paceline.messages.inbound import Inbound
from paceline.messages.outbound import Effect
from paceline.messages.unreadable import UNREADABLE

_encoder = msgspec.msgpack.Encoder()
_batch = msgspec.msgpack.Decoder(list[Inbound])
_raw_batch = msgspec.msgpack.Decoder(list[msgspec.Raw])
_single = msgspec.msgpack.Decoder(Inbound)
_effects = msgspec.msgpack.Decoder(list[Effect])
_effects_of_json = msgspec.json.Decoder(list[Effect])

encode_batch = _encoder.encode


@final
class Undecodable(Struct, frozen=True):
    """A message that could not be decoded: its bytes on the log and why."""

    raw: bytes
    reason: str


def encode_messages(messages: Sequence[Inbound]) -> bytes:
    """Value of an `engine.in` record."""
    return _encoder.encode(messages)


def encode_effects(effects: Sequence[Effect]) -> bytes:
    """Value of an `engine.out` record. Sums may outgrow msgpack's 64 bits; such a record is JSON."""
    try:
        return _encoder.encode(effects)
    except OverflowError:
        return msgspec.json.encode(effects)


def decode_effects(value: bytes) -> list[Effect]:
    """The effects of an `engine.out` record. No msgpack array begins with the byte of `[`."""
    return _effects_of_json.decode(value) if value.startswith(b"[") else _effects.decode(value)


def decode_messages(value: bytes) -> Sequence[Inbound | Undecodable]:
    """The messages of an `engine.in` record in order.

    One bad message does not spoil its neighbours: it comes back as `Undecodable` in its place. A value
    that is no batch at all is one `Undecodable`.
    """
    try:
        return _batch.decode(value)
    except UNREADABLE:
        return list(_decode_one_by_one(value))


def _decode_one_by_one(value: bytes) -> Iterator[Inbound | Undecodable]:
    try:
        raws = _raw_batch.decode(value)
    except UNREADABLE as error:
        yield Undecodable(value, str(error))
        return
    for raw in raws:
        try:
            yield _single.decode(raw)
        except UNREADABLE as error:
            yield Undecodable(bytes(raw), str(error))
