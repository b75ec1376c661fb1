"""What every route has in common: authenticate, validate, call, serialise — and say so in the document."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from flask import Response
from msgspec import Struct

from api.http.envelope import success
from api.http.fields import read_body, read_query
from api.http.session import authenticate
from paceline.core.errors import AuthorizationError

SPEC: Final = "__endpoint__"


class Spec(Struct, frozen=True, kw_only=True):
    """What the OpenAPI document says about a route. `data` is the type of the envelope's data.

    `operator` routes are for members with that role, `keyed` ones take an Idempotency-Key, `form` ones a
    form's fields too, `pending` ones may answer 202.
    """

    summary: str
    data: Any
    example: Any
    description: str = ""
    body: type[Struct] | None = None
    body_example: Any = None
    query: type[Struct] | None = None
    signed_in: bool = True
    operator: bool = False
    keyed: bool = False
    form: bool = False
    errors: tuple[int, ...] = ()
    pending: bool = False


def endpoint(spec: Spec) -> Callable[[Callable[..., Any]], Callable[..., Response]]:
    """Give a view `member`, `body` and `query` as its spec says, and put its answer in the envelope."""

    def around(view: Callable[..., Any]) -> Callable[..., Response]:
        @wraps(view)
        def handle(**given: Any) -> Response:
            if spec.signed_in:
                given["member"] = authenticate()
            if spec.operator and given["member"].role != "operator":
                raise AuthorizationError("This is for operators of the community only.")
            if spec.body is not None:
                given["body"] = read_body(spec.body, form=spec.form)
            if spec.query is not None:
                given["query"] = read_query(spec.query)
            answer = view(**given)
            return answer if isinstance(answer, Response) else success(answer)

        setattr(handle, SPEC, spec)
        return handle

    return around
