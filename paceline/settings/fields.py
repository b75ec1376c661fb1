"""What a setting is made of: its default, its parser, its documentation. A parser raises `ValueError`."""

from collections.abc import Callable
from dataclasses import field
from ipaddress import ip_network
from typing import Any

from paceline.core.money import parse_decimal


def setting(default: str, parse: Callable[[str], Any], doc: str) -> Any:
    """A field of a settings class. `default` is text, as it would stand in the environment."""
    return field(metadata={"default": default, "parse": parse, "doc": doc})


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


def amount(value: str) -> int:
    """A decimal number as an integer of 10⁻⁸."""
    return parse_decimal(value)


def url(*schemes: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value and not value.startswith(tuple(f"{s}://" for s in schemes)):
            raise ValueError(f"must begin with {' or '.join(f'{s}://' for s in schemes)}")
        return value.rstrip("/")

    return parse


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
