"""The common part of our librdkafka clients: how they connect, and one log line when a connection is lost."""

import logging
from typing import Any

from confluent_kafka import KafkaError

from paceline.adapters.kafka.connection import for_librdkafka
from paceline.core.connections import KafkaConnection

# The broker does not accept our sign-in, or we do not accept its certificate.
_REFUSALS = (KafkaError._AUTHENTICATION, KafkaError._SSL)


class ConnectionMonitor:
    """Whether Kafka can be reached. librdkafka reports a lost connection; the client sets `reached` again."""

    def __init__(self, log: logging.Logger, name: str, *, reached: bool) -> None:
        """Without `reached` no loss is logged until `reached` is set for the first time."""
        self._log = log
        self._name = name
        self.reached = reached
        self._refusal = ""

    def settings(self, kafka: KafkaConnection, client_id: str) -> dict[str, Any]:
        return {
            **for_librdkafka(kafka),
            "client.id": client_id,
            "socket.nagle.disable": True,
            "reconnect.backoff.max.ms": 1_000,
            "error_cb": self.lost,
            "log_level": 2,  # `lost` logs lost connections instead
            "logger": logging.getLogger("librdkafka"),
        }

    def lost(self, error: KafkaError) -> None:
        """Log the loss once: librdkafka keeps trying, several times a second."""
        if error.code() in _REFUSALS and not self.reached:
            if error.str() != self._refusal:
                self._log.error("%s refuses the connection: %s", self._name, error.str())
            self._refusal = error.str()
            return
        if self.reached:
            self._log.warning("lost %s: %s", self._name, error.str())
        self.reached = False
