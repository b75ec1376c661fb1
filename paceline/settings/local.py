"""Folder, ports and processes of the one-machine stack."""

from dataclasses import dataclass
from pathlib import Path

from paceline.settings.fields import between, one_of, port, setting, text


@dataclass(frozen=True, kw_only=True)
class LocalSettings:
    var_dir: Path = setting("var", Path, "Folder of all data of the one-machine stack")
    postgres_port: int = setting("15432", port, "Port of the local Postgres")
    redis_port: int = setting("16379", port, "Port of the local Redis")
    kafka_port: int = setting("19092", port, "Port of the local Kafka broker")
    kafka_controller_port: int = setting("19093", port, "Port of the local Kafka controller")
    api_port: int = setting("18000", port, "Port of the REST API")
    airflow_port: int = setting("18080", port, "Port of the Airflow UI")
    docs_port: int = setting("18090", port, "Port of the dbt docs site")
    exchange_port: int = setting("18010", port, "Port of the sandbox exchange (WebSocket)")
    mailbox_port: int = setting("18020", port, "Port of the sandbox mailbox")
    bind_host: str = setting("127.0.0.1", text, "Address that our own servers listen on")
    restart_pause_s: int = setting(
        "30", between(1, 3600), "Longest pause before a failing service is restarted, in seconds"
    )
    realtime: str = setting(
        "auto",
        one_of("auto", "off"),
        "Real-time scheduling of the services on the path of an order: where the system allows it, or never",
    )
