"""The common part of all routes: authenticate, validate, call, serialise. OpenAPI uses the same specs."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final

from flask import Response
from msgspec import Struct

from api.http.concurrency import member_slots
from api.http.envelope import success
from api.http.fields import read_body, read_query
from api.http.order_limits import spend_order
from api.http.session import authenticate
from paceline.core.errors import AuthorizationError

SPEC: Final = "__endpoint__"


class Spec(Struct, frozen=True, kw_only=True):
    """The specification of a route, as in the OpenAPI document. `data` is the type of the envelope's data.

    * `path`, `cookie`: the types of the parameters there. A parameter in a cookie is optional.
    * `body`: its class may have `schema_rules`, the JSON Schema of checks over several fields. With `form` it
      may also be an HTML form.
    * `operator` routes need that role. `keyed` routes accept an Idempotency-Key. `limited` routes count
      against the account's limits of orders.
    * `html`: the statuses that may come with a page. `sets_cookies` routes set cookies.
    * `pending` routes may answer 202, with `pending_data` if it is given.
    * `errors`: the error statuses that do not follow from the rest.
    """

    summary: str
    data: Any
    example: Any
    description: str = ""
    body: type[Struct] | None = None
    body_example: Any = None
    query: type[Struct] | None = None
    path: Mapping[str, Any] = {}
    cookie: Mapping[str, Any] = {}
    signed_in: bool = True
    operator: bool = False
    keyed: bool = False
    form: bool = False
    html: tuple[int, ...] = ()
    sets_cookies: bool = False
    errors: tuple[int, ...] = ()
    pending: bool = False
    limited: bool = False
    pending_data: type[Struct] | None = None


def endpoint(spec: Spec) -> Callable[[Callable[..., Any]], Callable[..., Response]]:
    """Pass `member`, `body` and `query` to a view as its spec says, and wrap its result in the envelope."""

    def decorate(view: Callable[..., Any]) -> Callable[..., Response]:
        @wraps(view)
        def handle(**arguments: Any) -> Response:
            if not spec.signed_in:
                return _answer(spec, view, arguments)
            member = authenticate()
            if spec.operator and member.role != "operator":
                raise AuthorizationError("This route is for operators only.")
            with member_slots().hold(member.account):
                if spec.limited:
                    spend_order(member.account)
                return _answer(spec, view, {"member": member, **arguments})

        setattr(handle, SPEC, spec)
        return handle

    return decorate


def _answer(spec: Spec, view: Callable[..., Any], arguments: dict[str, Any]) -> Response:
    if spec.body is not None:
        arguments["body"] = read_body(spec.body, form=spec.form)
    if spec.query is not None:
        arguments["query"] = read_query(spec.query)
    answer = view(**arguments)
    return answer if isinstance(answer, Response) else success(answer)
