"""A broker with a listener for each of Kafka's security protocols."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from paceline.local.processes.ports import free_port
from paceline.local.servers.kafka import LocalKafka

USER: Final = "paceline"
PASSWORD: Final = "only-for-tests"
PROTOCOLS: Final = ("SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MODULE: Final = "org.apache.kafka.common.security"


@dataclass
class SecuredKafka(LocalKafka):
    """`certificate`: a PEM file with the broker's key and certificate. The listener SSL asks its clients for
    a certificate of `ca_file`."""

    certificate: Path = Path()
    ca_file: Path = Path()
    secured_ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in PROTOCOLS})

    def address(self, protocol: str) -> str:
        return f"127.0.0.1:{self.secured_ports[protocol]}"

    def settle(self) -> None:
        """Make the user for SCRAM."""
        admin = AdminClient({"bootstrap.servers": self.url})
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            credential = ScramCredentialInfo(mechanism, 4096)
            change = UserScramCredentialUpsertion(USER, credential, PASSWORD.encode())
            admin.alter_user_scram_credentials([change])[USER].result(timeout=20)

    def _properties(self) -> dict[str, str]:
        plain = super()._properties()
        secured = ",".join(f"{name}://{self.address(name)}" for name in PROTOCOLS)
        more = {
            "listeners": f"{plain['listeners']},{secured}",
            "advertised.listeners": f"{plain['advertised.listeners']},{secured}",
            "listener.security.protocol.map": ",".join(f"{name}:{name}" for name in ("PLAINTEXT", *PROTOCOLS))
            + ",CONTROLLER:PLAINTEXT",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.certificate),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.ca_file),
            "listener.name.ssl.ssl.client.auth": "required",
        }
        for name in ("sasl_plaintext", "sasl_ssl"):
            listener = f"listener.name.{name}"
            more[f"{listener}.sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
            more[f"{listener}.plain.sasl.jaas.config"] = (
                f'{_MODULE}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
            )
            for mechanism in ("scram-sha-256", "scram-sha-512"):
                more[f"{listener}.{mechanism}.sasl.jaas.config"] = (
                    f"{_MODULE}.scram.ScramLoginModule required;"
                )
        return plain | more
