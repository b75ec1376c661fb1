"""The encoding on Kafka: msgpack arrays. A record's value is a batch of messages."""

from collections.abc import Iterator, Sequence
from typing import final

import msgspec
from msgspec import Struct

from paceline.messages.decode_errors import DECODE_ERRORS
from paceline.messages.inbound import Inbound
from paceline.messages.outbound import Effect

_encoder = msgspec.msgpack.Encoder()
_batch_decoder = msgspec.msgpack.Decoder(list[Inbound])
_raw_batch_decoder = msgspec.msgpack.Decoder(list[msgspec.Raw])
_message_decoder = msgspec.msgpack.Decoder(Inbound)
_effects_decoder = msgspec.msgpack.Decoder(list[Effect])
_json_effects_decoder = msgspec.json.Decoder(list[Effect])


@final
class Undecodable(Struct, frozen=True):
    """A message that could not be decoded: its bytes on the log, and the reason."""

    raw: bytes
    reason: str


def encode_messages(messages: Sequence[Inbound]) -> bytes:
    """Value of an `engine.in` record."""
    return _encoder.encode(messages)


def encode_effects(effects: Sequence[Effect]) -> bytes:
    """Value of an `engine.out` record: msgpack, or JSON where a sum does not fit into msgpack's 64 bits."""
    try:
        return _encoder.encode(effects)
    except OverflowError:
        return msgspec.json.encode(effects)


def decode_effects(value: bytes) -> list[Effect]:
    """The effects of an `engine.out` record. No msgpack array begins with the byte `[`, so `[` means JSON."""
    return _json_effects_decoder.decode(value) if value.startswith(b"[") else _effects_decoder.decode(value)


def decode_messages(value: bytes) -> Sequence[Inbound | Undecodable]:
    """The messages of an `engine.in` record, in order.

    A bad message is returned as `Undecodable` in its place; the others are not affected. A value that is not
    a batch is returned as one `Undecodable`.
    """
    try:
        return _batch_decoder.decode(value)
    except DECODE_ERRORS:
        return list(_decode_one_by_one(value))


def _decode_one_by_one(value: bytes) -> Iterator[Inbound | Undecodable]:
    try:
        raws = _raw_batch_decoder.decode(value)
    except DECODE_ERRORS as error:
        yield Undecodable(value, str(error))
        return
    for raw in raws:
        try:
            yield _message_decoder.decode(raw)
        except DECODE_ERRORS as error:
            yield Undecodable(bytes(raw), str(error))
