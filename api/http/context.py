"""What a request can use: the platform and the settings of the application."""

from typing import cast

from flask import current_app

from paceline.bootstrap.api import Platform
from paceline.settings import Settings


def platform() -> Platform:
    return cast(Platform, current_app.extensions["paceline"])


def settings() -> Settings:
    return cast(Settings, current_app.extensions["paceline.settings"])
