"""A shard's log as lines of JSON, one per message: the line number gives the position."""

from base64 import b64encode
from collections.abc import Iterator

from paceline.messages.inbound import Inbound
from paceline.messages.json_form import encode_line, to_json
from paceline.messages.log_form import Undecodable, decode_messages


def lines_of_record(value: bytes) -> Iterator[bytes]:
    """The lines of a record of `engine.in`, without line ends."""
    return map(line_of, decode_messages(value))


def line_of(message: Inbound | Undecodable) -> bytes:
    """A message as JSON. An undecodable message becomes an array, which does not decode either."""
    if isinstance(message, Undecodable):
        return encode_line(["undecodable", b64encode(message.raw).decode(), message.reason])
    return encode_line(to_json(message))
