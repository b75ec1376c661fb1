"""Page numbers and page sizes of lists."""

from typing import Annotated

from msgspec import Struct

from api.http.fields import describe_field


# Postgres reads and drops the rows before a page: at most 100,000 of them.
class PageQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    page: Annotated[
        int, describe_field("Number of the page, from 1.", "lie between 1 and 1000", ge=1, le=1000)
    ] = 1
    per_page: Annotated[int, describe_field("Entries per page.", "lie between 1 and 100", ge=1, le=100)] = 20

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.per_page


class Pagination(Struct, frozen=True):
    page: int
    per_page: int
    total: int
    total_pages: int


def pagination(paging: PageQuery, total: int) -> Pagination:
    return Pagination(paging.page, paging.per_page, total, -(-total // paging.per_page))
