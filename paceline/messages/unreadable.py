"""What reading JSON or msgpack raises where the text is none, or is nested deeper than the stack reaches."""

from typing import Final

import msgspec

UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
