"""Structured logs of a process: one JSON object a line on standard error, of ours and of the libraries."""

import logging
import sys
from typing import Final

import structlog

# What is below these speaks from `info` up, everything else from `warning`.
_OURS: Final = ("api", "paceline", "stream")


def set_up_logs(service: str) -> None:
    """Send everything that is logged in this process through structlog.

    A line has `service`, `event`, `level` and `timestamp` (ISO 8601, UTC), what was bound for the request or
    task (`request_id`), what the event brings along, and `logger` where it is a library's.
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
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
