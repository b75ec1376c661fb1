"""Settings, read once from the environment and checked at start.

Sources, the first one wins: the process environment, `.env` in the working directory, `secrets.env` in the
data folder (created by the first `paceline up`, readable by its owner only), the default. Every setting is an
environment variable `PACELINE_<NAME>`. A test compares the README's table with the settings.
"""

import dataclasses
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from paceline.core.errors import ValidationError
from paceline.settings.api import ApiSettings
from paceline.settings.demo import DemoSettings
from paceline.settings.engine import EngineSettings
from paceline.settings.feed import FeedSettings
from paceline.settings.fields import invalid_settings
from paceline.settings.identity import IdentitySettings
from paceline.settings.local import LocalSettings
from paceline.settings.notifications import NotificationSettings
from paceline.settings.operations import OperationsSettings
from paceline.settings.sources import PREFIX, read_variables
from paceline.settings.storage import DATABASE_ROLES, DatabaseRole, StorageSettings
from paceline.settings.warehouse import WarehouseSettings

__all__ = [
    "DATABASE_ROLES",
    "PREFIX",
    "DatabaseRole",
    "Settings",
    "load",
    "load_setting",
    "read_variables",
    "settings",
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(
    # Read from the last to the first: a dataclass takes the fields of its last base first.
    WarehouseSettings,
    DemoSettings,
    NotificationSettings,
    IdentitySettings,
    ApiSettings,
    FeedSettings,
    OperationsSettings,
    EngineSettings,
    StorageSettings,
    LocalSettings,
):
    """All settings. A field's metadata has its default as text, its parser and its documentation."""


def load_setting(name: str, environ: Mapping[str, str], folder: Path = Path()) -> Any:
    """A single setting, for code that runs before all settings are loaded."""
    item = next(item for item in dataclasses.fields(Settings) if item.name == name)
    variable = PREFIX + name.upper()
    text = read_variables(environ, folder).get(variable) or item.metadata["default"]
    try:
        return item.metadata["parse"](text)
    except ValueError as error:
        raise ValidationError(f"{variable}: {_problem(item, text, error)}") from error


def _problem(item: "dataclasses.Field[Any]", text: str, error: ValueError) -> str:
    return str(error) if item.metadata["hidden"] else f"{text[:40]!r}: {error}"


def load(environ: Mapping[str, str], folder: Path = Path()) -> Settings:
    """Settings from an environment mapping and the files; `ValidationError` names every invalid setting."""
    found = read_variables(environ, folder)
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for item in dataclasses.fields(Settings):
        name = PREFIX + item.name.upper()
        text = found.get(name) or item.metadata["default"]
        try:
            values[item.name] = item.metadata["parse"](text)
        except ValueError as error:
            problems[name] = _problem(item, text, error)
    known = {PREFIX + item.name.upper() for item in dataclasses.fields(Settings)}
    for name in sorted(found):
        if name.startswith(PREFIX) and not name.startswith(f"{PREFIX}TEST_") and name not in known:
            problems[name] = "is not a setting"
    if problems:
        raise invalid_settings(problems)
    return Settings(**values)


@cache
def settings() -> Settings:
    """The settings of this process."""
    return load(os.environ)
