"""Descriptions of connections that several clients share."""

from dataclasses import dataclass
from typing import Final

from paceline.core.secret import NO_SECRET, Secret

PLAINTEXT: Final = "PLAINTEXT"


@dataclass(frozen=True)
class KafkaConnection:
    """How to connect to Kafka: its brokers (`host:port,…`), encryption and sign-in.

    `security_protocol` is Kafka's: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL. Without `ca_file` certificates
    are checked with the certificate authorities of the system. `certificate_file` and `key_file` are those of
    the client, for brokers that ask for one.
    """

    brokers: str
    security_protocol: str = PLAINTEXT
    sasl_mechanism: str = "SCRAM-SHA-512"
    sasl_username: str = ""
    sasl_password: Secret = NO_SECRET
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""

    @property
    def encrypted(self) -> bool:
        return self.security_protocol.endswith("SSL")

    @property
    def signs_in(self) -> bool:
        return self.security_protocol.startswith("SASL_")
