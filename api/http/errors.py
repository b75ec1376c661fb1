"""Every error becomes the one envelope, with the code and status of the error tree, never a stack trace."""

from typing import Final

import structlog
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from api.http.envelope import Problem, failure
from paceline.core.errors import AppError, TransientError

_log = structlog.get_logger()

_OF_HTTP: Final = {
    400: ("BAD_REQUEST", "The request cannot be read."),
    404: ("NOT_FOUND", "There is nothing at this address."),
    405: ("METHOD_NOT_ALLOWED", "This address does not take that method."),
    413: ("PAYLOAD_TOO_LARGE", "The body is larger than 16 KiB."),
    415: ("UNSUPPORTED_MEDIA_TYPE", "The body must be JSON, with Content-Type: application/json."),
    429: ("RATE_LIMITED", "Too many requests of this kind. Wait a little, then try again."),
}
_INTERNAL: Final = Problem("INTERNAL_ERROR", "Something went wrong on our side.", {})


def install(app: Flask) -> None:
    app.register_error_handler(AppError, _of_ours)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(Exception, _of_nobody)


def _of_ours(error: AppError) -> Response:
    if error.status == 500:
        return _of_nobody(error)
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, TransientError) else {}
    return failure(Problem(error.code, error.message, error.details), error.status, headers)


def _of_http(error: HTTPException) -> HTTPException | Response:
    status = error.code or 500
    if status < 400:
        return error  # a redirect
    if status >= 500:
        return _of_nobody(error)
    code, message = _OF_HTTP.get(status, ("BAD_REQUEST", error.name))
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    return failure(Problem(code, message, {}), status, headers)


def _of_nobody(error: Exception) -> Response:
    _log.error("request_failed", exc_info=error)
    return failure(_INTERNAL, 500)
