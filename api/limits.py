"""How often something may be asked for. Counted in Redis; in this process while Redis is away."""

import time
from typing import Final

from flask import Flask, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

from api.context import settings as settings_of_app
from paceline.settings import Settings

PER_EMAIL: Final = "5 per 10 minutes"

limiter = Limiter(
    get_remote_address,
    default_limits=[],
    in_memory_fallback_enabled=True,
    key_prefix="limits",
)


def install(app: Flask, settings: Settings) -> None:
    app.config["RATELIMIT_STORAGE_URI"] = settings.cache_url
    app.config["RATELIMIT_STORAGE_OPTIONS"] = {"socket_connect_timeout": 1, "socket_timeout": 1}
    limiter.init_app(app)


def wait_s() -> int:
    """Seconds until the limit that this request ran into has room again."""
    limit = limiter.current_limit
    return 1 if limit is None else max(1, limit.reset_at - int(time.time()))


def per_address() -> str:
    return f"{settings_of_app().sign_in_rate_per_minute} per minute"


def email_asked_for() -> str:
    """The address that the body names, as one key however it is spelled; empty if it names none."""
    body = request.get_json(silent=True)
    email = body.get("email") if isinstance(body, dict) else None
    return email.strip().lower()[:254] if isinstance(email, str) else ""


def no_email() -> bool:
    """A request that will be refused for its form does not use up anybody's mails."""
    return not email_asked_for()
