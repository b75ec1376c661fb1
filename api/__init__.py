"""The REST API. `create_app()` builds it; each domain has a folder with its routes and schemas."""

from typing import Final

from flask import Flask

from api.account.routes import blueprint as account
from api.admin.routes import blueprint as admin
from api.auth.routes import blueprint as auth
from api.health.routes import blueprint as health
from api.http import concurrency, errors, limits, openapi, order_limits, session
from api.http.concurrency import ConcurrencyLimiter
from api.http.context import platform as platform_of_app
from api.http.idempotency import TextConverter
from api.http.middleware import RequestMiddleware
from api.leaderboard.routes import blueprint as leaderboard
from api.pages.routes import blueprint as pages
from api.trade.routes import blueprint as trade
from paceline.bootstrap.api import Platform, open_platform
from paceline.settings import Settings
from paceline.settings import settings as settings_of_process
from paceline.settings.public_url import check_public_url

BASE: Final = "/api/v1"
MAX_BODY_BYTES: Final = 16 * 1024


def create_app(settings: Settings | None = None, platform: Platform | None = None) -> Flask:
    """The WSGI application. Without arguments it uses the settings and servers of this process."""
    settings = settings or settings_of_process()
    check_public_url(settings)
    app = Flask("api")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    # An instruction id may hold any visible character, and begin with a slash.
    app.url_map.merge_slashes = False
    app.url_map.converters["path"] = TextConverter
    app.extensions["paceline"] = platform or open_platform(settings)
    app.extensions["paceline.settings"] = settings
    errors.install(app)
    session.install(app, settings)
    limits.install(app, settings)
    order_limits.install(app, settings)
    concurrency.install(app, settings.api_requests)
    app.register_blueprint(pages)
    app.register_blueprint(health)
    app.register_blueprint(auth, url_prefix=f"{BASE}/auth")
    app.register_blueprint(trade, url_prefix=f"{BASE}/trade")
    app.register_blueprint(account, url_prefix=f"{BASE}/account")
    app.register_blueprint(admin, url_prefix=f"{BASE}/admin")
    app.register_blueprint(leaderboard, url_prefix=f"{BASE}/leaderboard")
    openapi.install(app, BASE)
    app.wsgi_app = RequestMiddleware(ConcurrencyLimiter(app.wsgi_app, settings.api_requests))  # type: ignore[method-assign]
    return app


def close(app: Flask) -> None:
    """Close the connections of the application."""
    with app.app_context():
        limits.close()
        platform_of_app().close()
