"""What our clients on librdkafka have in common: how they connect, and that they say once who is away."""

import logging
from typing import Any

from confluent_kafka import KafkaError


class Connection:
    """Whether Kafka is within reach. librdkafka tells that it was lost; its user tells when it is back."""

    def __init__(self, log: logging.Logger, name: str, *, reached: bool) -> None:
        """Without `reached` nothing is said before it was `reached` for the first time."""
        self._log = log
        self._name = name
        self.reached = reached

    def settings(self, brokers: str, client_id: str) -> dict[str, Any]:
        return {
            "bootstrap.servers": brokers,
            "client.id": client_id,
            "socket.nagle.disable": True,
            "reconnect.backoff.max.ms": 1_000,
            "error_cb": self.lost,
            "log_level": 2,  # what it would say of a lost connection, `lost` says
            "logger": logging.getLogger("librdkafka"),
        }

    def lost(self, error: KafkaError) -> None:
        """Said once: librdkafka tries again for as long as it takes, several times a second."""
        if self.reached:
            self._log.warning("lost %s: %s", self._name, error.str())
        self.reached = False
