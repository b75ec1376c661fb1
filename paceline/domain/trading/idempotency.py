"""Whether two instructions with one id ask for the same. Pure."""

from typing import Final

from paceline.messages.inbound import AdminInstruction, UserInstruction

_NOT_ASKED_FOR: Final = ("id", "time")
# The API fills them in from the last price and the settings if the client does not name them.
_FILLED_IN: Final = ("expected_price", "max_slippage_bps")


def is_same_request(
    asked: UserInstruction | AdminInstruction, earlier: UserInstruction | AdminInstruction
) -> bool:
    """Whether both have the same kind and the same fields.

    `asked` is the instruction as the client named it, `earlier` as it is on the log. Only there a price and a
    bound may have been filled in, so these count only if `asked` names them.
    """
    if type(asked) is not type(earlier):
        return False
    for name in asked.__struct_fields__:
        value = getattr(asked, name)
        if name in _NOT_ASKED_FOR or (value is None and name in _FILLED_IN):
            continue
        if value != getattr(earlier, name):
            return False
    return True
