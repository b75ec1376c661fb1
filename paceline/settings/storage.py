"""Postgres, Redis and Kafka: where they are and how to sign in."""

from dataclasses import dataclass
from urllib.parse import quote

from paceline.core.secret import Secret, SecretUrl
from paceline.settings.fields import secret, secret_url, setting, text
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
        """With the password, for a client of Redis."""
        return self.redis_url.reveal() or f"redis://127.0.0.1:{self.redis_port}/0"

    @property
    def brokers(self) -> str:
        return self.kafka_bootstrap or f"127.0.0.1:{self.kafka_port}"
