"""What a setting is made of: its default, its parser, its documentation. A parser raises `ValueError`."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import field
from ipaddress import ip_network
from typing import Any, Final
from urllib.parse import urlsplit

from paceline.core.errors import ValidationError
from paceline.core.money import parse_decimal
from paceline.core.secret import Secret, SecretUrl

_BAD_PERCENT: Final = re.compile("%(?![0-9A-Fa-f]{2})")


def setting(default: str, parse: Callable[[str], Any], doc: str, *, hidden: bool = False) -> Any:
    """A field of a settings class. `default` is text, as it would stand in the environment.

    The value of a `hidden` setting is not shown when it is wrong.
    """
    return field(metadata={"default": default, "parse": parse, "doc": doc, "hidden": hidden})


def secret(doc: str) -> Any:
    """A field for a password or a key, empty by default. Its value is a `Secret`."""
    return setting("", Secret, doc, hidden=True)


def secret_url(*schemes: str, doc: str) -> Any:
    """A field for a URL that may hold a password, empty by default. Its value is a `SecretUrl`."""
    return setting("", lambda value: SecretUrl(_url_with(schemes, value)), doc, hidden=True)


def plain_url(*schemes: str, doc: str) -> Any:
    """A field for a URL without a user name or a password, empty by default."""

    def parse(value: str) -> str:
        url = _url_with(schemes, value)
        if "@" in urlsplit(url).netloc:
            raise ValueError("must not hold a user name or a password")
        return url

    return setting("", parse, doc, hidden=True)


def text(value: str) -> str:
    return value


def between(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        number = int(value)
        if not low <= number <= high:
            raise ValueError(f"must be between {low} and {high}")
        return number

    return parse


port = between(1, 65535)


def one_of(*words: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return value

    return parse


def names(value: str) -> tuple[str, ...]:
    found = tuple(name.strip() for name in value.split(",") if name.strip())
    if not found:
        raise ValueError("must name at least one")
    return found


def readable_file(value: str) -> str:
    if value and not os.access(value, os.R_OK):
        raise ValueError("must be a file that can be read")
    return value


def amount(value: str) -> int:
    """A decimal number as an integer of 10⁻⁸."""
    return parse_decimal(value)


def invalid_settings(problems: Mapping[str, str]) -> ValidationError:
    """`problems`: variable → what is wrong with its value."""
    lines = "; ".join(f"{name}: {why}" for name, why in problems.items())
    return ValidationError(f"Settings are invalid. {lines}", details=problems)


def _url_with(schemes: tuple[str, ...], value: str) -> str:
    if value and not value.startswith(tuple(f"{s}://" for s in schemes)):
        raise ValueError(f"must begin with {' or '.join(f'{s}://' for s in schemes)}")
    try:
        valid = _BAD_PERCENT.search(value) is None and urlsplit(value).port != 0
    except ValueError:
        valid = False
    if not valid:  # said here: a client would name the part that it cannot read, which may be the password
        raise ValueError("must be a URL whose special characters are percent-encoded")
    return value.rstrip("/")


def flag(value: str) -> bool:
    if value.lower() in ("1", "true", "yes", "on"):
        return True
    if value.lower() in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("must be true or false")


def networks(value: str) -> tuple[str, ...]:
    """Addresses and networks, such as 10.0.0.5 and 10.0.0.0/8."""
    found = tuple(name.strip() for name in value.split(",") if name.strip())
    for name in found:
        try:
            ip_network(name)
        except ValueError as error:
            raise ValueError(f"{name[:60]} must be an address or a network") from error
    return found
