"""Each log line on standard error is one JSON object, for our loggers and those of libraries."""

import json
import subprocess
import sys
from typing import Any

import pytest

_SAYS = """
import logging
import structlog
from paceline.adapters.runtime.logs import set_up_logs

set_up_logs("writer,router")
ours = structlog.get_logger("api")
structlog.contextvars.bind_contextvars(request_id="r-1")
ours.debug("too quiet")
ours.info("request", status=200)
structlog.contextvars.clear_contextvars()
ours.warning("odd", half="\\ud800", large=10**30, what={1, 2}.__class__)
logging.getLogger("aiokafka").info("too quiet")
logging.getLogger("aiokafka").warning("a %s\\nof two lines", "text")
try:
    1 / 0
except ZeroDivisionError:
    ours.exception("ours failed")
    logging.getLogger("aiokafka").exception("theirs failed")
"""


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    done = subprocess.run([sys.executable, "-c", _SAYS], check=True, capture_output=True, text=True)
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_each_line_has_event_level_service_and_timestamp(lines: list[dict[str, Any]]) -> None:
    assert [(line["event"], line["level"]) for line in lines] == [
        ("request", "info"),
        ("odd", "warning"),
        ("a text\nof two lines", "warning"),
        ("ours failed", "error"),
        ("theirs failed", "error"),
    ]
    assert {line["service"] for line in lines} == {"writer,router"}
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_bound_context_is_in_the_lines_of_its_request_only(lines: list[dict[str, Any]]) -> None:
    request, *others = lines
    assert (request["request_id"], request["status"]) == ("r-1", 200)
    assert not any("request_id" in line for line in others)


def test_library_lines_have_a_logger_name_and_failures_a_traceback(lines: list[dict[str, Any]]) -> None:
    assert [line.get("logger") for line in lines] == [None, None, "aiokafka", None, "aiokafka"]
    assert ["ZeroDivisionError" in line.get("exception", "") for line in lines] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_values_that_json_cannot_hold_are_still_logged(lines: list[dict[str, Any]]) -> None:
    odd = lines[1]
    assert (odd["half"], odd["large"], odd["what"]) == ("\ud800", 10**30, "<class 'set'>")
