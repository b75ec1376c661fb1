"""The last prices of all markets, polled from the public API once for all traders."""

import asyncio
from collections import deque
from decimal import Decimal
from typing import Any, Final

import httpx
import structlog

from sandbox.traders.api import ApiClient, ApiUnavailable, RequestRefused
from sandbox.traders.styles import Tick

log = structlog.get_logger("traders")

_POLL_S: Final = 1.0
_MAX_TICKS: Final = 120


class PriceHistory:
    """`ticks` by symbol, oldest first, for about the last two minutes; `assets` as the API returns them."""

    def __init__(self) -> None:
        self.ticks: dict[str, deque[Tick]] = {}
        self.assets: dict[str, dict[str, Any]] = {}

    def take(self, assets: list[dict[str, Any]], now_s: float) -> None:
        """Add the data of `GET /account/assets`. A market without a new price gets no tick."""
        for asset in assets:
            symbol = asset["symbol"]
            before = self.assets.get(symbol)
            self.assets[symbol] = asset
            if asset["bid"] is None or (before and before["price_time"] == asset["price_time"]):
                continue
            ticks = self.ticks.setdefault(symbol, deque(maxlen=_MAX_TICKS))
            ticks.append(Tick(now_s, Decimal(asset["bid"]), Decimal(asset["ask"])))

    async def watch(self, member: ApiClient) -> None:
        """Poll forever, once a second, as one member."""
        while True:
            try:
                data = await member.get("/account/assets")
                self.take(data["assets"], asyncio.get_running_loop().time())
                await asyncio.sleep(_POLL_S)
            except (ApiUnavailable, RequestRefused, httpx.HTTPError) as error:
                log.warning("prices cannot be read", why=str(error) or type(error).__name__)
                await asyncio.sleep(getattr(error, "after_s", 5.0))
