"""The limits of orders per account. Counted in this process, so that an order needs no round trip for them.

Several API processes count separately: together they allow as many times the limit. Every request of an order
route counts, a malformed one too.
"""

import time
from typing import Final, cast

from flask import Flask, current_app, request

from api.http.middleware import RESPONSE_HEADERS
from paceline.core.errors import RateLimitError
from paceline.core.times import SECOND_US
from paceline.domain.trading.order_limits import OrderLimits, OrderRate, RateUse
from paceline.settings import Settings

_DAY_S: Final = 86_400
# Accounts whose buckets are kept, about 300 bytes each.
_MAX_ACCOUNTS: Final = 50_000
_EXTENSION: Final = "paceline.order_limits"


def install(app: Flask, settings: Settings) -> None:
    rates = (
        OrderRate("orders", settings.orders_per_second, 1, settings.orders_burst),
        OrderRate("orders-day", settings.orders_per_day, _DAY_S, settings.orders_per_day),
    )
    app.extensions[_EXTENSION] = OrderLimits(rates, _MAX_ACCOUNTS)


def spend_order(account: str) -> None:
    """Count one order of an account, and report what is left in the response's headers.

    `RateLimitError` if the account has sent too many.
    """
    limits = cast(OrderLimits, current_app.extensions[_EXTENSION])
    spending = limits.spend(account, time.monotonic_ns() // 1000)
    request.environ[RESPONSE_HEADERS] = rate_headers(spending.uses)
    if spending.exceeded is not None:
        rate = spending.exceeded
        unit = "second" if rate.window_s == 1 else "day"
        raise RateLimitError(
            f"The account has sent more than {rate.quota} orders per {unit}. Wait, then send it again.",
            retry_after_s=_seconds(spending.wait_us),
        )


def rate_headers(uses: tuple[RateUse, ...]) -> list[tuple[str, str]]:
    """`RateLimit-Policy` and `RateLimit`, as draft-ietf-httpapi-ratelimit-headers-11 defines them."""
    policies = (f'"{use.rate.name}";q={use.rate.quota};w={use.rate.window_s}' for use in uses)
    left = (f'"{use.rate.name}";r={use.remaining};t={_seconds(use.reset_us)}' for use in uses)
    return [("RateLimit-Policy", ", ".join(policies)), ("RateLimit", ", ".join(left))]


def _seconds(duration_us: int) -> int:
    """Whole seconds, rounded up; at least 1."""
    return max(1, -(-duration_us // SECOND_US))
