"""Every error becomes an envelope with the code and status of the error tree, never a stack trace."""

from typing import Final

import structlog
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from api.http.envelope import ErrorDetails, failure
from paceline.core.errors import AppError, RateLimitError, TransientError

_log = structlog.get_logger()

_HTTP_ERRORS: Final = {
    400: ("BAD_REQUEST", "The request cannot be read."),
    404: ("NOT_FOUND", "This address does not exist."),
    405: ("METHOD_NOT_ALLOWED", "This address does not support this method."),
    413: ("PAYLOAD_TOO_LARGE", "The body is larger than 16 KiB."),
    415: ("UNSUPPORTED_MEDIA_TYPE", "The body must be JSON, with Content-Type: application/json."),
    429: ("RATE_LIMITED", "The rate limit is exceeded. Wait, then try again."),
}
_INTERNAL: Final = ErrorDetails("INTERNAL_ERROR", "The API has an internal error.", {})


def install(app: Flask) -> None:
    app.register_error_handler(AppError, _handle_app_error)
    app.register_error_handler(HTTPException, _handle_http_error)
    app.register_error_handler(Exception, _handle_unexpected)


def _handle_app_error(error: AppError) -> Response:
    if error.status == 500:
        return _handle_unexpected(error)
    headers = {}
    if isinstance(error, TransientError | RateLimitError):
        headers["Retry-After"] = str(error.retry_after_s)
    return failure(ErrorDetails(error.code, error.message, error.details), error.status, headers)


def _handle_http_error(error: HTTPException) -> HTTPException | Response:
    status = error.code or 500
    if status < 400:
        return error  # a redirect
    if status >= 500:
        return _handle_unexpected(error)
    code, message = _HTTP_ERRORS.get(status, ("BAD_REQUEST", error.name))
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    return failure(ErrorDetails(code, message, {}), status, headers)


def _handle_unexpected(error: Exception) -> Response:
    _log.error("request_failed", exc_info=error)
    return failure(_INTERNAL, 500)
