"""One page of a longer list."""

from typing import Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")


class Page(Struct, Generic[T], frozen=True):
    """`items` of one page, and how many entries the whole list has."""

    items: list[T]
    total: int
