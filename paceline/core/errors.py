"""The error tree. Every error has a code for programs and a sentence for people.

AppError
├── ValidationError      400  the input is malformed; `details` maps field → what is wrong
├── AuthenticationError  401  the request has no valid session
├── AuthorizationError   403  signed in, but without permission
├── NotFoundError        404  the thing does not exist
├── ConflictError        409  the current state does not allow it
├── TradingError         422  the engine refused; `code` is the engine's
├── RateLimitError       429  too many requests; allowed again after `retry_after_s`
├── UpstreamError        502  a service that we depend on failed
│   ├── TransientError   503  not done; a retry after `retry_after_s` may succeed
│   ├── PermanentError   502  not done; a retry fails too
│   └── UnknownError     504  may have been done: check before sending again
└── InvariantViolation   500  a condition that must always hold does not: the service must stop
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class AppError(Exception):
    """Base class of all our errors: `code` for programs, `message` for people, `status` for HTTP."""

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(
        self, message: str, *, code: str | None = None, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.details: dict[str, Any] = dict(details or {})


class ValidationError(AppError):
    status = 400
    default_code = "VALIDATION_ERROR"


class AuthenticationError(AppError):
    status = 401
    default_code = "UNAUTHENTICATED"


class AuthorizationError(AppError):
    status = 403
    default_code = "FORBIDDEN"


class NotFoundError(AppError):
    status = 404
    default_code = "NOT_FOUND"


class ConflictError(AppError):
    status = 409
    default_code = "CONFLICT"


class TradingError(AppError):
    status = 422
    default_code = "REJECTED"


class RateLimitError(AppError):
    """Not done, because there were too many requests; allowed again after `retry_after_s` seconds."""

    status = 429
    default_code = "RATE_LIMITED"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UpstreamError(AppError):
    status = 502
    default_code = "UPSTREAM_ERROR"


class TransientError(UpstreamError):
    """Not done; a retry after `retry_after_s` seconds may succeed."""

    status = 503
    default_code = "UNAVAILABLE"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after_s: int = 1,
    ) -> None:
        super().__init__(message, code=code, details=details)
        self.retry_after_s = retry_after_s


class PermanentError(UpstreamError):
    default_code = "UPSTREAM_REFUSED"


class UnknownError(UpstreamError):
    """The outcome is unknown: it may have been done."""

    status = 504
    default_code = "OUTCOME_UNKNOWN"


class InvariantViolation(AppError):
    """A condition that must always hold does not. The service stops before it does more damage."""

    default_code = "INVARIANT_VIOLATION"
