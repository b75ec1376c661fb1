"""The form of every JSON response.

`{"success": true, "data": …, "meta": {"timestamp", "requestId"}}` or
`{"success": false, "error": {"code", "message", "details"}, "meta": …}`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from flask import Response, request

from api.http.middleware import REQUEST_ID


class Meta(msgspec.Struct, frozen=True):
    """Time of the response (UTC, ISO 8601), and the id of the request in the logs."""

    timestamp: str
    request_id: str = msgspec.field(name="requestId")


class ErrorDetails(msgspec.Struct, frozen=True):
    """`code` is for programs, `message` for people; `details` maps each wrong field to its problem."""

    code: str
    message: str
    details: dict[str, Any]


class Failure(msgspec.Struct, frozen=True):
    success: Annotated[bool, msgspec.Meta(extra_json_schema={"const": False})]
    error: ErrorDetails
    meta: Meta


class Success(msgspec.Struct, frozen=True):
    success: bool
    data: Any
    meta: Meta


def success(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return _response(msgspec.json.encode(Success(True, data, _meta(request.environ))), status, headers)


def failure(problem: ErrorDetails, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return _response(error_body(problem, request.environ), status, headers)


def error_body(problem: ErrorDetails, environ: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(Failure(False, problem, _meta(environ)))


def _meta(environ: Mapping[str, Any]) -> Meta:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Meta(now, environ[REQUEST_ID])


def _response(body: bytes, status: int, headers: Mapping[str, str] | None) -> Response:
    return Response(body, status, headers, content_type="application/json")
