"""Settings, read once from the environment and checked at start.

Sources, the first one wins: the process environment, `.env` in the working directory, `secrets.env` in the
data folder (created by the first `paceline up`, readable by its owner only), the default. Every setting is an
environment variable `PACELINE_<NAME>`. A test compares the README's table with this file.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import quote

from paceline.core.errors import ValidationError
from paceline.core.money import parse_decimal

PREFIX = "PACELINE_"


def _text(value: str) -> str:
    return value


def _flag(value: str) -> bool:
    if value.lower() in ("1", "true", "yes", "on"):
        return True
    if value.lower() in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("must be true or false")


def _between(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        number = int(value)
        if not low <= number <= high:
            raise ValueError(f"must be between {low} and {high}")
        return number

    return parse


_port = _between(1, 65535)


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return value

    return parse


def _names(value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    if not names:
        raise ValueError("must name at least one")
    return names


def _networks(value: str) -> tuple[str, ...]:
    """Addresses and networks, such as 10.0.0.5 and 10.0.0.0/8."""
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    for name in names:
        try:
            ip_network(name)
        except ValueError as error:
            raise ValueError(f"{name[:60]} must be an address or a network") from error
    return names


def _amount(value: str) -> int:
    return parse_decimal(value)


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value and not value.startswith(tuple(f"{s}://" for s in schemes)):
            raise ValueError(f"must begin with {' or '.join(f'{s}://' for s in schemes)}")
        return value.rstrip("/")

    return parse


def _setting(default: str, parse: Callable[[str], Any], doc: str) -> Any:
    return field(metadata={"default": default, "parse": parse, "doc": doc})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings. A field's metadata has its default as text, its parser and its documentation."""

    var_dir: Path = _setting("var", Path, "Folder of all data of the one-machine stack")

    postgres_port: int = _setting("15432", _port, "Port of the local Postgres")
    redis_port: int = _setting("16379", _port, "Port of the local Redis")
    kafka_port: int = _setting("19092", _port, "Port of the local Kafka broker")
    kafka_controller_port: int = _setting("19093", _port, "Port of the local Kafka controller")
    api_port: int = _setting("18000", _port, "Port of the REST API")
    airflow_port: int = _setting("18080", _port, "Port of the Airflow UI")
    docs_port: int = _setting("18090", _port, "Port of the dbt docs site")
    exchange_port: int = _setting("18010", _port, "Port of the sandbox exchange (WebSocket)")
    mailbox_port: int = _setting("18020", _port, "Port of the sandbox mailbox")
    bind_host: str = _setting("127.0.0.1", _text, "Address that our own servers listen on")

    restart_pause_s: int = _setting(
        "30", _between(1, 3600), "Longest pause before a failing service is restarted, in seconds"
    )

    realtime: str = _setting(
        "auto",
        _one_of("auto", "off"),
        "Real-time scheduling of the services on the path of an order: where the system allows it, or never",
    )

    worker_id: str = _setting(
        "",
        _text,
        "Name of a stream worker in Kafka, the same after a restart; must be unique",
    )

    postgres_url: str = _setting(
        "", _url("postgresql"), "Postgres to use; empty means the local one, with the generated password"
    )
    redis_url: str = _setting("", _url("redis", "rediss"), "Redis to use; empty means the local one")
    kafka_bootstrap: str = _setting("", _text, "Kafka brokers (host:port,…); empty means the local one")
    postgres_password: str = _setting("", _text, "Password of the database owner; generated if empty")
    analyst_password: str = _setting("", _text, "Password of the read-only role; generated if empty")
    jwt_secret: str = _setting(
        "", _text, "Secret that signs sessions, at least 32 characters; generated if empty"
    )

    engine: str = _setting(
        "auto",
        _one_of("auto", "compiled", "python"),
        "Form of the engine; auto means compiled if a build is installed",
    )
    engine_shards: int = _setting("4", _between(1, 256), "Number of shards, fixed at installation")
    snapshot_interval_s: int = _setting("10", _between(1, 3600), "Seconds between snapshots of a shard")

    watchdog_stuck_s: int = _setting(
        "15", _between(2, 3600), "Seconds without progress of a reader with records to read, before an alert"
    )
    watchdog_price_s: int = _setting(
        "30", _between(2, 86_400), "Seconds without a price of an open market, before an alert"
    )
    watchdog_snapshot_s: int = _setting(
        "120",
        _between(2, 86_400),
        "Age in seconds of a shard's snapshot that raises an alert; at least three intervals",
    )

    feed_url: str = _setting(
        "", _url("ws", "wss"), "WebSocket of the exchange; empty means the sandbox exchange"
    )
    feed_symbols: tuple[str, ...] = _setting(
        "BTC_USDC_PERP,ETH_USDC_PERP,SOL_USDC_PERP,ADA_USDC_PERP", _names, "Symbols to subscribe to"
    )
    feed_silence_ms: int = _setting(
        "5000",
        _between(100, 600_000),
        "Milliseconds without data from the exchange, before the feed reconnects",
    )
    exchange_rate_hz: int = _setting(
        "20", _between(1, 20_000), "Sandbox exchange: price updates per second, all symbols together"
    )
    exchange_seed: int = _setting("7", _between(0, 2**31), "Sandbox exchange: seed of the random walk")

    public_url: str = _setting(
        "", _url("http", "https"), "URL of the API for people; empty means loopback. Required off loopback"
    )
    allow_insecure_public_url: bool = _setting(
        "false", _flag, "Accept an http:// public URL off this machine: sessions then travel without TLS"
    )
    trusted_proxies: tuple[str, ...] = _setting(
        "", _networks, "Addresses and networks of reverse proxies whose X-Forwarded headers are believed"
    )
    reply_timeout_ms: int = _setting(
        "2000", _between(10, 60_000), "Milliseconds that a request waits for the engine before it answers 202"
    )
    initial_balance_usd: int = _setting("5000", _amount, "Balance of a new account, in USD")
    default_slippage_bps: int = _setting(
        "50", _between(0, 10_000), "Slippage bound of a market order that names none, in basis points"
    )
    session_days: int = _setting("7", _between(1, 365), "Lifetime of a session in days")
    magic_link_minutes: int = _setting("10", _between(1, 60), "Lifetime of a magic link in minutes")
    sign_in_rate_per_minute: int = _setting(
        "60", _between(1, 10_000), "Sign-in requests of each kind that a network address may send per minute"
    )
    api_requests: int = _setting(
        "128",
        _between(1, 512),
        "Requests that the API handles at once, a quarter of them of one member; further requests get 503",
    )
    orders_per_second: int = _setting(
        "20", _between(1, 10_000), "Orders per second that an account may send; further orders get 429"
    )
    orders_burst: int = _setting("40", _between(1, 100_000), "Orders that an account may send at once")
    orders_per_day: int = _setting(
        "50000", _between(1, 100_000_000), "Orders that an account may send in a day; further orders get 429"
    )

    resend_url: str = _setting(
        "", _url("http", "https"), "Resend API for mail; empty means the sandbox mailbox"
    )
    resend_api_key: str = _setting("", _text, "Key for Resend; the sandbox mailbox accepts any")
    mail_from: str = _setting("Paceline <login@paceline.example>", _text, "Sender of mail")

    demo_traders: int = _setting("20", _between(0, 500), "Simulated traders in the demo; 0 for none")
    leaderboard_minimum_trades: int = _setting(
        "3", _between(1, 10_000), "Closed trades that an account needs in a period to be ranked"
    )

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

    @property
    def exchange_url(self) -> str:
        return self.feed_url or f"ws://127.0.0.1:{self.exchange_port}"

    @property
    def mail_api_url(self) -> str:
        return self.resend_url or f"http://127.0.0.1:{self.mailbox_port}"

    @property
    def api_url(self) -> str:
        return self.public_url or f"http://127.0.0.1:{self.api_port}"


def sources(environ: Mapping[str, str], folder: Path = Path()) -> dict[str, str]:
    """The environment, with the variables of the files added."""
    found = _read_env_file(folder / ".env") | dict(environ)
    var_dir = Path(found.get(f"{PREFIX}VAR_DIR") or "var")
    return _read_env_file(folder / var_dir / "secrets.env") | found


def one(name: str, environ: Mapping[str, str], folder: Path = Path()) -> Any:
    """A single setting, for code that runs before all settings are loaded."""
    item = next(item for item in fields(Settings) if item.name == name)
    variable = PREFIX + name.upper()
    text = sources(environ, folder).get(variable) or item.metadata["default"]
    try:
        return item.metadata["parse"](text)
    except ValueError as error:
        raise ValidationError(f"{variable}: {text[:40]!r}: {error}") from error


def load(environ: Mapping[str, str], folder: Path = Path()) -> Settings:
    """Settings from an environment mapping and the files; `ValidationError` names every invalid setting."""
    found = sources(environ, folder)
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for item in fields(Settings):
        name = PREFIX + item.name.upper()
        text = found.get(name) or item.metadata["default"]
        try:
            values[item.name] = item.metadata["parse"](text)
        except ValueError as error:
            problems[name] = f"{text[:40]!r}: {error}"
    known = {PREFIX + item.name.upper() for item in fields(Settings)}
    for name in sorted(found):
        if name.startswith(PREFIX) and not name.startswith(f"{PREFIX}TEST_") and name not in known:
            problems[name] = "is not a setting"
    if problems:
        lines = "; ".join(f"{name}: {why}" for name, why in problems.items())
        raise ValidationError(f"Settings are invalid. {lines}", details=problems)
    return Settings(**values)


def _read_env_file(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    pairs: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals:
            raise ValidationError(f"{path.name}, line {number}: must have the form NAME=value")
        pairs[name.strip()] = value.strip().strip("'\"")
    return pairs


@cache
def settings() -> Settings:
    """The settings of this process."""
    return load(os.environ)
