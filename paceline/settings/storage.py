"""Postgres, Redis and Kafka: where they are and how to sign in."""

from dataclasses import dataclass
from urllib.parse import quote

from paceline.settings.fields import setting, text, url
from paceline.settings.local import LocalSettings


@dataclass(frozen=True, kw_only=True)
class StorageSettings(LocalSettings):
    worker_id: str = setting(
        "",
        text,
        "Name of a stream worker in Kafka, the same after a restart; must be unique",
    )
    postgres_url: str = setting(
        "", url("postgresql"), "Postgres to use; empty means the local one, with the generated password"
    )
    redis_url: str = setting("", url("redis", "rediss"), "Redis to use; empty means the local one")
    kafka_bootstrap: str = setting("", text, "Kafka brokers (host:port,…); empty means the local one")
    postgres_password: str = setting("", text, "Password of the database owner; generated if empty")
    analyst_password: str = setting("", text, "Password of the read-only role; generated if empty")

    @property
    def database_url(self) -> str:
        if self.postgres_url:
            return self.postgres_url
        password = quote(self.postgres_password, safe="")
        return f"postgresql://paceline:{password}@127.0.0.1:{self.postgres_port}/paceline"

    @property
    def cache_url(self) -> str:
        return self.redis_url or f"redis://127.0.0.1:{self.redis_port}/0"

    @property
    def brokers(self) -> str:
        return self.kafka_bootstrap or f"127.0.0.1:{self.kafka_port}"
