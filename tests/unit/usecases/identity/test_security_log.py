"""Security events are logged and handed over, and a flood of failures is bounded."""

from hashlib import sha256

from structlog.testing import capture_logs

from paceline.ports.identity import SecurityEvent
from paceline.usecases.identity.security_log import SecurityLog

MINUTE_US = 60_000_000


class Clock:
    now_us = 100 * MINUTE_US

    def __call__(self) -> int:
        return self.now_us


def test_an_event_is_logged_and_handed_over_without_the_address_of_the_mailbox() -> None:
    events: list[SecurityEvent] = []
    log = SecurityLog(lambda event: events.append(event) or True, Clock())
    with capture_logs() as lines:
        log.record(
            "sign_in_failed",
            actor="anonymous",
            email="Ada@example.com",
            address="203.0.113.7",
            request_id="r1",
            code="CODE_INVALID",
        )
    [event] = events
    assert event.email_hash == sha256(b"ada@example.com").hexdigest()
    assert (event.event, event.actor, event.address) == ("sign_in_failed", "anonymous", "203.0.113.7")
    assert (event.at_us, event.request_id, event.details) == (Clock.now_us, "r1", {"code": "CODE_INVALID"})
    [line] = lines
    assert (line["event"], line["what"], line["code"]) == ("security_event", "sign_in_failed", "CODE_INVALID")
    assert "Ada@" not in str(lines).replace("ada@", "Ada@")


def test_an_event_that_cannot_be_handed_over_is_reported_and_raises_nothing() -> None:
    log = SecurityLog(lambda _: False, Clock())
    with capture_logs() as lines:
        log.record("signed_out", actor="member:a1")
    assert [line["event"] for line in lines] == ["security_event", "security_event_not_stored"]


def test_repeated_failures_of_one_source_are_bounded_and_counted() -> None:
    events: list[SecurityEvent] = []
    clock = Clock()
    log = SecurityLog(lambda event: events.append(event) or True, clock)
    for _ in range(50):
        log.record("csrf_failed", actor="session:1", address="203.0.113.7")
    log.record("csrf_failed", actor="session:2", address="203.0.113.7")
    assert len(events) == 21
    clock.now_us += MINUTE_US
    with capture_logs() as lines:
        log.record("csrf_failed", actor="session:1", address="203.0.113.7")
    assert len(events) == 22
    assert (lines[0]["event"], lines[0]["events"]) == ("security_events_suppressed", 30)


def test_acts_of_operators_are_all_recorded() -> None:
    events: list[SecurityEvent] = []
    log = SecurityLog(lambda event: events.append(event) or True, Clock())
    for number in range(100):
        log.record("operator_acted", actor="cli:ada", act="halt_market", about=str(number))
    assert len(events) == 100
