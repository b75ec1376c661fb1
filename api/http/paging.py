"""Page numbers and page sizes of lists."""

from typing import Annotated

from msgspec import Struct

from api.http.fields import takes


class Paging(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    page: Annotated[int, takes("Number of the page, from 1.", "lie between 1 and 10000", ge=1, le=10_000)] = 1
    per_page: Annotated[int, takes("Entries per page.", "lie between 1 and 100", ge=1, le=100)] = 20

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.per_page


class Pagination(Struct, frozen=True):
    page: int
    per_page: int
    total: int
    total_pages: int


def pagination(paging: Paging, total: int) -> Pagination:
    return Pagination(paging.page, paging.per_page, total, -(-total // paging.per_page))
