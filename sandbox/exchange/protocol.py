"""Backpack's message formats: the commands of clients and the messages they get.

Source: the exchange's public documentation (docs.backpack.exchange, "Streams"); error replies have the
form `{"id":null,"error":{"code":4006,"message":"Invalid stream"}}`. A valid command gets no reply.
"""

from functools import lru_cache
from typing import Final, Literal, NamedTuple

import msgspec

STREAM_PREFIX: Final = "bookTicker."
MAX_STREAMS: Final = 256  # in one command

_INVALID_REQUEST: Final = 4000
_INVALID_METHOD: Final = 4001
_INVALID_STREAM: Final = 4006


class Quote(msgspec.Struct, frozen=True, gc=False):
    """Best bid and ask of a market, prices and quantities as decimal strings."""

    symbol: str
    bid: str
    bid_quantity: str
    ask: str
    ask_quantity: str


class Command(msgspec.Struct, frozen=True):
    method: str
    params: list[str]


class Subscription(NamedTuple):
    """A validated command: the markets to add or remove."""

    action: Literal["SUBSCRIBE", "UNSUBSCRIBE"]
    symbols: tuple[str, ...]


class ProtocolError(ValueError):
    """A command is invalid. `reply` is the error message for the client."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.reply = msgspec.json.encode({"id": None, "error": {"code": code, "message": message}}).decode()


_commands = msgspec.json.Decoder(Command)


def parse_command(text: str | bytes, known: frozenset[str]) -> Subscription:
    """The subscription in a command. `ProtocolError` if it is invalid."""
    try:
        command = _commands.decode(text)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ProtocolError(_INVALID_REQUEST, f"Invalid request: {error}") from error
    if command.method not in ("SUBSCRIBE", "UNSUBSCRIBE"):
        raise ProtocolError(_INVALID_METHOD, f"Invalid method: {command.method[:40]!r}")
    if len(command.params) > MAX_STREAMS:
        raise ProtocolError(_INVALID_REQUEST, f"Too many streams in one request: at most {MAX_STREAMS}")
    for stream in command.params:
        if not stream.startswith(STREAM_PREFIX) or stream.removeprefix(STREAM_PREFIX) not in known:
            raise ProtocolError(_INVALID_STREAM, f"Invalid stream: {stream[:80]!r}")
    symbols = tuple(stream.removeprefix(STREAM_PREFIX) for stream in command.params)
    action: Literal["SUBSCRIBE", "UNSUBSCRIBE"] = (
        "SUBSCRIBE" if command.method == "SUBSCRIBE" else "UNSUBSCRIBE"
    )
    return Subscription(action, symbols)


def frame(quote: Quote, update_id: int, now_us: int, *, string_id: bool = False) -> str:
    """A `bookTicker` message. Backpack documents `u` as a string but sends an integer; both are supported.

    Formatted without an encoder for speed (thousands a second): only the market's name can need escapes.
    """
    symbol, stream = _names(quote.symbol)
    written_id = f'"{update_id}"' if string_id else update_id
    return (
        f'{{"data":{{"A":"{quote.ask_quantity}","B":"{quote.bid_quantity}","E":{now_us},"T":{now_us},'
        f'"a":"{quote.ask}","b":"{quote.bid}","e":"bookTicker","s":{symbol},"u":{written_id}}},'
        f'"stream":{stream}}}'
    )


@lru_cache(maxsize=MAX_STREAMS)
def _names(symbol: str) -> tuple[str, str]:
    """The names of a market and its stream as JSON strings."""
    return msgspec.json.encode(symbol).decode(), msgspec.json.encode(STREAM_PREFIX + symbol).decode()
