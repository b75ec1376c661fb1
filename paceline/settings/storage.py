"""Postgres, Redis and Kafka: where they are and how to sign in."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from paceline.core.connections import PLAINTEXT, KafkaConnection
from paceline.core.secret import Secret, SecretUrl
from paceline.settings.fields import (
    invalid_settings,
    one_of,
    readable_file,
    secret,
    secret_url,
    setting,
    text,
)
from paceline.settings.local import LocalSettings


@dataclass(frozen=True, kw_only=True)
class StorageSettings(LocalSettings):
    worker_id: str = setting(
        "",
        text,
        "Name of a stream worker in Kafka, the same after a restart; must be unique",
    )
    postgres_url: SecretUrl = secret_url(
        "postgresql", doc="Postgres to use; empty means the local one, with the generated password"
    )
    redis_url: SecretUrl = secret_url("redis", "rediss", doc="Redis to use; empty means the local one")
    kafka_bootstrap: str = setting("", text, "Kafka brokers (host:port,…); empty means the local one")
    kafka_security_protocol: str = setting(
        PLAINTEXT,
        one_of(PLAINTEXT, "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
        "Encryption of and sign-in to Kafka",
    )
    kafka_sasl_mechanism: str = setting(
        "SCRAM-SHA-512", one_of("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"), "How to sign in to Kafka"
    )
    kafka_sasl_username: str = setting("", text, "User name for Kafka")
    kafka_sasl_password: Secret = secret("Password for Kafka")
    kafka_ssl_ca_file: str = setting(
        "", readable_file, "Certificate authority of Kafka, PEM; empty means those of the system"
    )
    kafka_ssl_certificate_file: str = setting("", readable_file, "Our own certificate for Kafka, PEM")
    kafka_ssl_key_file: str = setting("", readable_file, "Private key of that certificate, PEM")
    redis_ca_file: str = setting(
        "", readable_file, "Certificate authority of Redis (rediss://), PEM; empty means those of the system"
    )
    postgres_password: Secret = secret("Password of the database owner; generated if empty")
    analyst_password: Secret = secret("Password of the read-only role; generated if empty")

    @property
    def database_url(self) -> str:
        """With the password, for a client of Postgres."""
        if self.postgres_url:
            return self.postgres_url.reveal()
        password = quote(self.postgres_password.reveal(), safe="")
        return f"postgresql://paceline:{password}@127.0.0.1:{self.postgres_port}/paceline"

    @property
    def cache_url(self) -> str:
        """With the password and the file of the certificate authority, for a client of Redis."""
        url = self.redis_url.reveal() or f"redis://127.0.0.1:{self.redis_port}/0"
        if not self.redis_ca_file:
            return url
        return f"{url}{'&' if '?' in url else '?'}{urlencode({'ssl_ca_certs': self.redis_ca_file})}"

    @property
    def kafka(self) -> KafkaConnection:
        return KafkaConnection(
            brokers=self.kafka_bootstrap or f"127.0.0.1:{self.kafka_port}",
            security_protocol=self.kafka_security_protocol,
            sasl_mechanism=self.kafka_sasl_mechanism,
            sasl_username=self.kafka_sasl_username,
            sasl_password=self.kafka_sasl_password,
            ca_file=self.kafka_ssl_ca_file,
            certificate_file=self.kafka_ssl_certificate_file,
            key_file=self.kafka_ssl_key_file,
        )

    def __post_init__(self) -> None:
        """`ValidationError` if settings do not fit together."""
        problems = {}
        sign_in = {"USERNAME": self.kafka_sasl_username, "PASSWORD": self.kafka_sasl_password}
        for name, value in sign_in.items() if self.kafka.signs_in else ():
            if not value:
                problems[f"PACELINE_KAFKA_SASL_{name}"] = "must be set to sign in with SASL"
        if self.kafka_security_protocol != PLAINTEXT and not self.kafka_bootstrap:
            problems["PACELINE_KAFKA_BOOTSTRAP"] = "must be set: the local Kafka has neither TLS nor SASL"
        if self.redis_ca_file and not self.cache_url.startswith("rediss://"):
            problems["PACELINE_REDIS_URL"] = "must begin with rediss:// to use PACELINE_REDIS_CA_FILE"
        if problems:
            raise invalid_settings(problems)
