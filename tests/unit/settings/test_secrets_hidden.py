"""No secret of the settings is shown anywhere: each gets a marker, and every output is searched for it."""

import dataclasses
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from paceline.adapters.runtime.logs import set_up_logs
from paceline.core.errors import ValidationError
from paceline.core.secret import Secret, SecretUrl
from paceline.local.processes.ports import free_port
from paceline.local.stack.services import UpOptions, services
from paceline.settings import PREFIX, Settings, load

MARKER = "marker-of-a-secret-of-32-characters-or-more"
FIELDS = {item.name: item for item in dataclasses.fields(Settings)}
HIDDEN = [name for name, item in FIELDS.items() if item.metadata["hidden"]]
DEFAULTS = load({}, Path("/nonexistent"))
SECRETS = [name for name in FIELDS if isinstance(getattr(DEFAULTS, name), Secret)]
URLS = [name for name in HIDDEN if name.endswith("url")]


def environment(**more: str) -> dict[str, str]:
    """A value with the marker for every secret setting. The servers in the URLs do not exist."""
    found = {f"{PREFIX}{name.upper()}": MARKER for name in SECRETS}
    for name in SECRETS:
        if isinstance(getattr(DEFAULTS, name), SecretUrl):
            scheme = "redis" if "redis" in name else "postgresql"
            found[f"{PREFIX}{name.upper()}"] = f"{scheme}://user:{MARKER}@127.0.0.1:{free_port()}/0"
    return found | more


def test_every_setting_that_is_named_like_a_secret_is_one() -> None:
    words = ("password", "secret", "key", "token")
    named = {name for name in FIELDS if name.rpartition("_")[2] in words}
    databases = {name for name in FIELDS if name.endswith("_database_url")}
    assert named | databases | {"postgres_url", "redis_url"} == set(SECRETS)
    assert set(SECRETS) <= set(HIDDEN)
    urls = {name for name in FIELDS if name.endswith("url")}
    assert urls - {"allow_insecure_public_url"} == set(URLS)


def test_no_representation_of_the_settings_shows_a_secret(tmp_path: Path) -> None:
    settings = load(environment(), tmp_path)
    assert all(MARKER in getattr(settings, name).reveal() for name in SECRETS)
    shown = [repr(settings), str(settings), f"{settings}", str(dataclasses.asdict(settings))]
    shown.append(json.dumps(dataclasses.asdict(settings), default=repr))
    shown += [repr(services(settings, UpOptions())), repr(services(load({}, tmp_path), UpOptions()))]
    assert MARKER not in "".join(shown)
    with pytest.raises(TypeError):
        json.dumps(dataclasses.asdict(settings) | {"var_dir": ""})


@pytest.fixture
def logs_restored() -> Iterator[None]:
    root, structured = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**structured)


@pytest.mark.usefixtures("logs_restored")
def test_no_log_line_shows_a_secret(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    settings = load(environment(), tmp_path)
    set_up_logs("test")
    structlog.get_logger().warning(
        f"{settings}", settings=settings, each=[getattr(settings, name) for name in SECRETS]
    )
    logging.getLogger("a-library").warning("%s %r", settings, settings)
    written = capfd.readouterr().err
    assert written.count("\n") == 2
    assert "***" in written
    assert MARKER not in written


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    "value",
    [
        "ftp://user:{}@host/x",
        "user:{}@host",
        "postgresql://user:{}%zz@host/x",
        "redis://user:{}/y@host",
        "https://user:{}@host",
        "wss://user:{}@host",
        "postgresql://host:{}",
    ],
)
def test_a_wrong_url_is_not_shown(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        load({f"{PREFIX}{name.upper()}": value.format(MARKER)}, tmp_path)
    assert MARKER not in caught.value.message + str(caught.value.details) + str(caught.value.__cause__)
    assert f"{PREFIX}{name.upper()}: must " in caught.value.message


@pytest.mark.parametrize(
    "arguments", [("doctor",), ("status",), ("migrate",), ("beat", "engine"), ("account", "list")]
)
def test_no_command_shows_a_secret(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "paceline.cli", *arguments],
        env={
            **os.environ,
            **environment(PACELINE_VAR_DIR=str(tmp_path)),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    assert done.stdout + done.stderr
    assert MARKER not in done.stdout + done.stderr
