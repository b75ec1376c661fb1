"""The id of an instruction, which the client can choose."""

import re
from secrets import token_hex
from typing import Final

from flask import request

from paceline.core.errors import ValidationError
from paceline.usecases.operations.operating import OPERATOR_ID_PREFIX
from paceline.usecases.trading.instructions import OPENING_ID_PREFIX

KEY: Final = "Idempotency-Key"
_KEY_FORM: Final = re.compile(r"(?!\.{1,2}$)[\x21-\x7e]{1,64}", re.ASCII)


def request_key() -> str:
    """The request's Idempotency-Key, generated if absent."""
    given = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    return token_hex(16) if given is None else valid_key(given)


def valid_key(key: str) -> str:
    if _KEY_FORM.fullmatch(key) is None:
        raise ValidationError(
            f"{KEY} must have 1 to 64 visible ASCII characters.", details={KEY: "1 to 64 visible characters"}
        )
    for prefix in (OPENING_ID_PREFIX, OPERATOR_ID_PREFIX):
        if key.startswith(prefix):
            raise ValidationError(
                f"{KEY} must not begin with {prefix!r}, which is reserved. Choose another key.",
                details={KEY: "is reserved"},
            )
    return key
