"""What clients on librdkafka say of their connection."""

import logging

import pytest
from confluent_kafka import KafkaError

from paceline.adapters.kafka.librdkafka import Connection

GONE = KafkaError(KafkaError._TRANSPORT, "nobody listens")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_lost_connection_is_said_once_until_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    connection = Connection(logging.getLogger("paceline.test"), "there", reached=True)
    connection.lost(GONE)
    connection.lost(GONE)
    assert said(caplog) == ["lost there: nobody listens"]
    assert not connection.reached
    connection.reached = True
    connection.lost(GONE)
    assert said(caplog) == ["lost there: nobody listens"] * 2


def test_of_one_that_never_was_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    connection = Connection(logging.getLogger("paceline.test"), "there", reached=False)
    connection.lost(GONE)
    assert said(caplog) == []
