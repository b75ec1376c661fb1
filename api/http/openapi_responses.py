"""The responses of a route in the OpenAPI document: its statuses, their headers, codes and schemas."""

from typing import Any, Final

from msgspec import Struct

from api.http.concurrency import is_always_answered
from api.http.endpoint import Spec
from api.http.envelope import Failure, Meta
from api.http.session import SAFE_METHODS
from paceline.usecases.trading.refusals import SENTENCES

REF: Final = "#/components/schemas/{name}"


class _Error(Struct, frozen=True):
    """An error status: what it means, and the codes that it comes with. The first code is the example."""

    description: str
    codes: tuple[str, ...]


ERRORS: Final = {
    400: _Error(
        "The input is malformed. `details` maps each wrong field to its problem.",
        ("VALIDATION_ERROR", "BAD_REQUEST"),
    ),
    401: _Error(
        "You are not signed in, or the session has ended, or the link or the code is not valid.",
        ("UNAUTHENTICATED", "SESSION_ENDED", "LINK_INVALID", "CODE_INVALID"),
    ),
    403: _Error(
        "The CSRF header or the role is missing, or another browser requested the sign-in mail.",
        ("CSRF_FAILED", "FORBIDDEN", "CROSS_SITE", "OTHER_BROWSER"),
    ),
    404: _Error("The object does not exist or is not yours.", ("NOT_FOUND",)),
    409: _Error(
        "The current state does not allow this, or the Idempotency-Key belongs to another request.",
        ("IDEMPOTENCY_KEY_REUSED", "BASE_IS_FIXED"),
    ),
    413: _Error("The body is larger than 16 KiB.", ("PAYLOAD_TOO_LARGE",)),
    415: _Error("The body is not JSON.", ("UNSUPPORTED_MEDIA_TYPE",)),
    422: _Error(
        "The engine refuses the instruction. `code` is the engine's code, `message` the reason.",
        ("INSUFFICIENT_BALANCE", *sorted(SENTENCES.keys() - {"INSUFFICIENT_BALANCE"})),
    ),
    429: _Error("The rate limit is exceeded. `Retry-After` says when to try again.", ("RATE_LIMITED",)),
    502: _Error("An outside service refuses the request.", ("UPSTREAM_REFUSED",)),
    503: _Error(
        "A required service cannot be reached, or the API is busy. Nothing is done. `Retry-After` says "
        "when to try again.",
        ("UNAVAILABLE", "BUSY", "NOT_READY", "ACCOUNT_OPENING"),
    ),
    504: _Error(
        "The result is unknown; the request may be done in part. Sending it again is safe.",
        ("OUTCOME_UNKNOWN",),
    ),
}
_META_EXAMPLE: Final = {
    "timestamp": "2025-09-06T07:13:18.738Z",
    "requestId": "0f8fad5bd9cb469fa16570867728950e",
}
_PENDING: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"instruction": {"type": "string"}, "status": {"const": "pending"}},
    "required": ["instruction", "status"],
}
_PENDING_EXAMPLE: Final = {"instruction": "5b7a9c", "status": "pending"}
_LOCATION: Final = {
    "Location": {
        "description": "Where the answer will be.",
        "required": True,
        "schema": {"type": "string", "pattern": "^/api/v1/"},
    }
}
_RETRY_AFTER: Final = {
    "Retry-After": {
        "description": "Seconds until a retry may succeed.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
_SET_COOKIE: Final = {
    "Set-Cookie": {"description": "The cookies of the session.", "schema": {"type": "string"}}
}
_REQUEST_ID: Final = {
    "X-Request-ID": {
        "description": "The id of the request in the logs, as in `meta`.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    }
}
_RATE_LIMIT: Final[dict[str, Any]] = {
    "RateLimit-Policy": {
        "description": "The limits of orders per account: quota `q` in a window of `w` seconds.",
        "schema": {"type": "string"},
        "example": '"orders";q=20;w=1, "orders-day";q=50000;w=86400',
    },
    "RateLimit": {
        "description": "What is left: `r` orders, and `t` seconds until the whole quota is available again.",
        "schema": {"type": "string"},
        "example": '"orders";r=19;t=1, "orders-day";r=49999;t=2',
    },
}
# A request without a valid session is not counted, and one that a busy API refuses may not be.
_NOT_COUNTED: Final = ("401", "403")
_PERHAPS_COUNTED: Final = ("503",)
_HEADERS: Final = {429: _RETRY_AFTER, 503: _RETRY_AFTER}


def responses(spec: Spec, method: str, path: str) -> dict[str, Any]:
    """The responses by status, as text."""
    body = {"success": True, "data": spec.example, "meta": _META_EXAMPLE}
    result = _response(
        "The result.", _envelope(ref(spec.data)), body, _SET_COOKIE if spec.sets_cookies else {}
    )
    found = {"200": result}
    if spec.pending:
        found["202"] = _pending(spec)
    for status in sorted(statuses(spec, method, path)):
        found[str(status)] = _error(status)
    for status in spec.html:
        found[str(status)]["content"]["text/html"] = {"schema": {"type": "string"}}
    if spec.limited:
        for name, response in found.items():
            if name not in _NOT_COUNTED:
                required = {"required": name not in _PERHAPS_COUNTED}
                response["headers"] |= {header: about | required for header, about in _RATE_LIMIT.items()}
    return found


def statuses(spec: Spec, method: str, path: str) -> set[int]:
    """The error statuses of a route: those that follow from its spec, and the spec's own."""
    found = set(spec.errors)
    if not is_always_answered(path):
        found.add(503)
    if spec.signed_in:
        found.add(401)
    if spec.operator or (spec.signed_in and method not in SAFE_METHODS):
        found.add(403)
    if spec.path:
        found.add(404)
    if spec.query is not None or spec.keyed:
        found.add(400)
    if spec.keyed:
        found.add(409)
    if spec.limited:
        found.add(429)
    if spec.body is not None:
        found |= {400, 413, 415}
    return found


def ref(cls: type[Struct]) -> dict[str, Any]:
    return {"$ref": REF.format(name=cls.__name__)}


def _pending(spec: Spec) -> dict[str, Any]:
    schema, example = _PENDING, _PENDING_EXAMPLE
    if spec.pending_data is not None:
        schema = {"allOf": [ref(spec.pending_data), _PENDING]}
        example = spec.example | {"status": "pending"}
    body = {"success": True, "data": example, "meta": _META_EXAMPLE}
    return _response("The engine has not answered yet.", _envelope(schema), body, _LOCATION)


def _error(status: int) -> dict[str, Any]:
    error = ERRORS[status]
    problem = {"code": error.codes[0], "message": error.description, "details": {}}
    example = {"success": False, "error": problem, "meta": _META_EXAMPLE}
    code = {"properties": {"code": {"enum": list(error.codes)}}}
    schema = {"allOf": [ref(Failure), {"properties": {"error": code}}]}
    return _response(error.description, schema, example, _HEADERS.get(status, {}))


def _response(
    description: str, schema: dict[str, Any], example: Any, headers: dict[str, Any]
) -> dict[str, Any]:
    return {
        "description": description,
        "headers": headers | _REQUEST_ID,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def _envelope(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"success": {"const": True}, "data": data, "meta": ref(Meta)},
        "required": ["success", "data", "meta"],
    }
