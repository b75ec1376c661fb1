"""Structured logs of a process and its libraries: one JSON object per line on standard error."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
import structlog

_STANDARD_ERROR = 2
_encode = msgspec.json.Encoder(enc_hook=repr).encode


class _LineLogger:
    """Writes each line immediately, without a buffer and without a lock that threads would wait for."""

    def info(self, line: bytes) -> None:
        line += b"\n"
        with suppress(OSError):  # a full disk or a closed pipe must not stop the code that logs
            while line:
                line = line[os.write(_STANDARD_ERROR, line) :]

    warning = error = critical = info


def set_up_logs(service: str) -> None:
    """Log to standard error: our code directly, libraries through `logging`.

    A line has `service`, `event`, `level` and `timestamp` (ISO 8601, UTC), the context of the request or task
    (`request_id`), the event's own fields, and `logger` if it is from a library.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        lambda _logger, _name, event: {"service": service, **event},
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            lambda _logger, _name, event: _json(event).decode(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.format_exc_info,
            lambda _logger, _name, event: _json(event),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: _LineLogger(),
        cache_logger_on_first_use=True,
    )


def log_to_stderr() -> None:
    """For commands: lines that a person can read, on standard error, because stdout is for results."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


@contextmanager
def warnings_to_stderr() -> Iterator[None]:
    """Like `log_to_stderr`, for as long as the context lasts and without what is only for information."""
    before = structlog.get_config()
    log_to_stderr()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        yield
    finally:
        structlog.configure(**before)


def _json(event: Any) -> bytes:
    try:
        return _encode(event)
    except (TypeError, ValueError, OverflowError):  # such as a lone surrogate or a 65-bit number
        return json.dumps(event, default=repr).encode()
