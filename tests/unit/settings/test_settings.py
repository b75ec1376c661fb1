from pathlib import Path

import pytest

from paceline.core.errors import ValidationError
from paceline.settings import load


def test_defaults_apply_without_environment(tmp_path: Path) -> None:
    settings = load({}, tmp_path)
    assert settings.engine_shards == 4
    assert settings.initial_balance_usd == 5000 * 10**8
    assert settings.kafka.brokers == f"127.0.0.1:{settings.kafka_port}"


def test_environment_overrides_dot_env_which_overrides_secrets(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "secrets.env").write_text("PACELINE_JWT_SECRET=from-secrets\nPACELINE_API_PORT=1\n")
    (tmp_path / ".env").write_text("# ports\nPACELINE_API_PORT='2'\nPACELINE_REDIS_PORT=3\n")
    settings = load({"PACELINE_REDIS_PORT": "4"}, tmp_path)
    assert (settings.jwt_secret.reveal(), settings.api_port, settings.redis_port) == ("from-secrets", 2, 4)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("PACELINE_API_PORT", "http", "invalid literal"),
        ("PACELINE_API_PORT", "0", "between 1 and 65535"),
        ("PACELINE_ENGINE_SHARDS", "300", "between 1 and 256"),
        ("PACELINE_FEED_URL", "https://x", "ws:// or wss://"),
        ("PACELINE_INITIAL_BALANCE_USD", "1e3", "plain decimal number"),
        ("PACELINE_FEED_SYMBOLS", " , ", "at least one"),
        ("PACELINE_KAFKA_SECURITY_PROTOCOL", "TLS", "must be one of PLAINTEXT, SSL"),
        ("PACELINE_KAFKA_SSL_CA_FILE", "/no/such/file", "must be a file that can be read"),
        ("PACELINE_POSTGRES_URL", "postgresql://u:p@host:port/x", "percent-encoded"),
        ("PACELINE_RESEND_URL", "https://u:p@host", "user name or a password"),
        ("PACELINE_API_PROT", "1", "is not a setting"),
    ],
)
def test_an_invalid_setting_is_named_with_the_reason(tmp_path: Path, name: str, value: str, why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        load({name: value}, tmp_path)
    assert why in caught.value.details[name]
    assert name in caught.value.message


def test_all_invalid_settings_are_named_together(tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as caught:
        load({"PACELINE_API_PORT": "x", "PACELINE_REDIS_PORT": "y"}, tmp_path)
    assert set(caught.value.details) == {"PACELINE_API_PORT", "PACELINE_REDIS_PORT"}


def test_an_invalid_env_file_names_the_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("\nPACELINE_API_PORT\n")
    with pytest.raises(ValidationError, match=r"\.env, line 2"):
        load({}, tmp_path)


@pytest.mark.parametrize(
    ("given", "name", "why"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "SSL"}, "KAFKA_BOOTSTRAP", "neither TLS nor SASL"),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_BOOTSTRAP": "k:1", "KAFKA_SASL_PASSWORD": "x"},
            "KAFKA_SASL_USERNAME",
            "must be set",
        ),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_BOOTSTRAP": "k:1", "KAFKA_SASL_USERNAME": "x"},
            "KAFKA_SASL_PASSWORD",
            "must be set",
        ),
        ({"REDIS_CA_FILE": __file__, "REDIS_URL": "redis://r/0"}, "REDIS_URL", "rediss://"),
    ],
)
def test_settings_that_do_not_fit_together_are_named(
    tmp_path: Path, given: dict[str, str], name: str, why: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        load({f"PACELINE_{key}": value for key, value in given.items()}, tmp_path)
    assert why in caught.value.details[f"PACELINE_{name}"]
    assert len(caught.value.details) == 1
