"""Postgres, Redis and Kafka: where they are and how to sign in."""

from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

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

DatabaseRole = Literal["api", "writer", "nightly", "analyst", "airflow"]
DATABASE_ROLES: Final[tuple[DatabaseRole, ...]] = ("api", "writer", "nightly", "analyst", "airflow")


@dataclass(frozen=True, kw_only=True)
class StorageSettings(LocalSettings):
    worker_id: str = setting(
        "",
        text,
        "Name of a stream worker in Kafka, the same after a restart; must be unique",
    )
    postgres_url: SecretUrl = secret_url(
        "postgresql",
        doc="Postgres to use, as its owner; empty means the local one and the generated password",
    )
    api_database_url: SecretUrl = secret_url(
        "postgresql", doc="Postgres as the role `api`; empty means the server of PACELINE_POSTGRES_URL"
    )
    writer_database_url: SecretUrl = secret_url("postgresql", doc="The same for the stream's role `writer`")
    nightly_database_url: SecretUrl = secret_url("postgresql", doc="The same for the role `nightly`")
    analyst_database_url: SecretUrl = secret_url(
        "postgresql", doc="The same for the read-only role `analyst`"
    )
    airflow_database_url: SecretUrl = secret_url(
        "postgresql", doc="Airflow's database, as the role `airflow`"
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
    secrets_file: str = setting("", text, "File with the secrets; empty means secrets.env in the data folder")
    superuser_password: Secret = secret(
        "Password of the local Postgres' superuser, for `paceline up` alone; generated if empty"
    )
    postgres_password: Secret = secret("Password of the database owner; generated if empty")
    api_database_password: Secret = secret("Password of the role `api`; generated if empty")
    writer_database_password: Secret = secret("Password of the role `writer`; generated if empty")
    nightly_database_password: Secret = secret("Password of the role `nightly`; generated if empty")
    analyst_password: Secret = secret("Password of the role `analyst`; generated if empty")
    airflow_database_password: Secret = secret("Password of the role `airflow`; generated if empty")

    @property
    def database_url(self) -> str:
        """As the owner, with the password: for migrations. Row-level security shows it no row."""
        if self.postgres_url:
            return self.postgres_url.reveal()
        login = _login("paceline", self.postgres_password)
        return f"postgresql://{login}@127.0.0.1:{self.postgres_port}/paceline"

    def database_url_of(self, role: DatabaseRole) -> str:
        """As a role, with the password. A role without a URL of its own is on the owner's server."""
        given: SecretUrl = getattr(self, f"{role}_database_url")
        if given:
            return given.reveal()
        parts = urlsplit(self.database_url)
        netloc = f"{_login(role, self.password_of(role))}@{parts.netloc.rpartition('@')[2]}"
        path = "/airflow" if role == "airflow" else parts.path
        return urlunsplit(parts._replace(netloc=netloc, path=path))

    def password_of(self, role: DatabaseRole) -> Secret:
        name = "analyst_password" if role == "analyst" else f"{role}_database_password"
        password: Secret = getattr(self, name)
        return password

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


def _login(role: str, password: Secret) -> str:
    return f"{role}:{quote(password.reveal(), safe='')}" if password else role
