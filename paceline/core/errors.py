"""The error tree. Every refusal carries a code for machines and a sentence for people.

AppError
├── ValidationError      400  the input is malformed; `details` maps field → what is wrong
├── AuthenticationError  401  nobody is signed in
├── AuthorizationError   403  signed in, but not allowed
├── NotFoundError        404
├── ConflictError        409  the state of things does not allow it now
├── TradingError         422  the engine refused; `code` is the engine's
├── UpstreamError        502  a service beside us failed
│   ├── TransientError   503  certainly not done; trying again may help (`retry_after_s`)
│   ├── PermanentError   502  certainly not done; trying again will not help
│   └── UnknownError     504  may have been done: look before sending again
└── InvariantViolation   500  something that cannot be true is: the service must stop
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class AppError(Exception):
    """Root of all our errors: `code` for machines, `message` for people, `status` for HTTP."""

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


class UpstreamError(AppError):
    status = 502
    default_code = "UPSTREAM_ERROR"


class TransientError(UpstreamError):
    """Certainly not done; may work after `retry_after_s` seconds."""

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
    """Something that cannot be true is true; going on would make it worse."""

    default_code = "INVARIANT_VIOLATION"
