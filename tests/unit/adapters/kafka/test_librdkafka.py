"""Log messages of librdkafka clients about their connection."""

import logging

import pytest
from confluent_kafka import KafkaError

from paceline.adapters.kafka.librdkafka import ConnectionMonitor

GONE = KafkaError(KafkaError._TRANSPORT, "connection refused")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_lost_connection_is_logged_once_until_it_is_restored(caplog: pytest.LogCaptureFixture) -> None:
    connection = ConnectionMonitor(logging.getLogger("paceline.test"), "there", reached=True)
    connection.lost(GONE)
    connection.lost(GONE)
    assert said(caplog) == ["lost there: connection refused"]
    assert not connection.reached
    connection.reached = True
    connection.lost(GONE)
    assert said(caplog) == ["lost there: connection refused"] * 2


def test_a_connection_that_was_never_made_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    connection = ConnectionMonitor(logging.getLogger("paceline.test"), "there", reached=False)
    connection.lost(GONE)
    assert said(caplog) == []
