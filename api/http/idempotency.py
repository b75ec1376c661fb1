"""The id of an instruction, which the client can choose."""

import re
from secrets import token_hex
from typing import Annotated, Final

from flask import request
from werkzeug.routing import PathConverter

from api.http.fields import describe_field
from paceline.core.errors import ValidationError
from paceline.usecases.operations.operating import OPERATOR_ID_PREFIX
from paceline.usecases.trading.instructions import OPENING_ID_PREFIX

KEY: Final = "Idempotency-Key"
_FORM: Final = r"(?!\.{1,2}$)[!-~]{1,64}"
_KEY_FORM: Final = re.compile(_FORM, re.ASCII)
_RESERVED: Final = (OPENING_ID_PREFIX, OPERATOR_ID_PREFIX)
_PATTERN: Final = rf"(?!{'|'.join(_RESERVED)}){_FORM}"
_MAX_ID: Final = 96  # the prefix, an account, and a key
_MUST: Final = "have 1 to 64 visible ASCII characters and no reserved prefix"

Key = Annotated[
    str,
    describe_field(
        "Id of the instruction, generated if absent. A repeat within a day is not executed again. "
        "A key that belongs to another request is refused (409).",
        _MUST,
        pattern=f"^{_PATTERN}$",
        max_length=64,
    ),
]
InstructionId = Annotated[
    str, describe_field("Id of an instruction of yours.", _MUST, pattern=f"^{_PATTERN}$", max_length=64)
]
OperatorInstructionId = Annotated[
    str,
    describe_field(
        "Id of a deposit or withdrawal, or a key of yours.",
        _MUST,
        pattern=f"^({OPERATOR_ID_PREFIX}[!-~]{{0,{_MAX_ID - len(OPERATOR_ID_PREFIX)}}}|{_PATTERN})$",
        max_length=_MAX_ID,
    ),
]


class TextConverter(PathConverter):
    """The rest of a path, whatever it is. Werkzeug's own converter refuses a slash at its start."""

    regex = ".+"
    part_isolating = False


def request_key() -> str:
    """The request's Idempotency-Key, generated if absent."""
    given = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    return token_hex(16) if given is None else valid_key(given)


def valid_key(key: str) -> str:
    if _KEY_FORM.fullmatch(key) is None:
        raise ValidationError(
            f"{KEY} must have 1 to 64 visible ASCII characters.", details={KEY: "1 to 64 visible characters"}
        )
    for prefix in _RESERVED:
        if key.startswith(prefix):
            raise ValidationError(
                f"{KEY} must not begin with {prefix!r}, which is reserved. Choose another key.",
                details={KEY: "is reserved"},
            )
    return key
