"""Exceptions of decoding JSON or msgpack: the input is invalid, or nested deeper than the stack allows."""

from typing import Final

import msgspec

DECODE_ERRORS: Final = (msgspec.MsgspecError, ValueError, RecursionError)
