"""Writes the last price of each market to Redis (`price:{symbol}`), by the engine's rules for prices."""

import asyncio
from collections.abc import Iterable
from typing import Final

import structlog

from paceline.adapters.redis import keys
from paceline.adapters.redis.client import UNAVAILABLE_ERRORS, AsyncRedis
from paceline.adapters.redis.market import price_command
from paceline.domain.market.prices import is_usable
from paceline.messages.inbound import PriceUpdate

log = structlog.get_logger("feed")

EVERY_S: Final = 0.1


class LastPrices:
    """Keeps the newest usable price per symbol and writes those that changed, at most every 100 ms."""

    def __init__(self, client: AsyncRedis) -> None:
        self._redis = client
        self._last_ids: dict[str, int] = {}
        self._changed: dict[str, PriceUpdate] = {}

    async def recall(self, symbols: Iterable[str]) -> None:
        """Read the update ids that an earlier feed left in Redis; without Redis, start with none."""
        for symbol in symbols:
            try:
                [known] = await self._redis.ask(("HGET", keys.price(symbol), "update_id"))
            except UNAVAILABLE_ERRORS as error:
                log.warning("last prices not recalled", why=str(error))
                return
            if known is not None:
                self._last_ids[symbol] = int(known)

    def take(self, update: PriceUpdate) -> bool:
        """Keep a price; false if the engine will drop it."""
        if not is_usable(update, self._last_ids.get(update.symbol, -1)):
            return False
        self._last_ids[update.symbol] = update.update_id
        self._changed[update.symbol] = update
        return True

    async def run(self) -> None:
        """Write until cancelled. Prices that Redis has not taken go with the next round, unless replaced."""
        unavailable = False
        while True:
            await asyncio.sleep(EVERY_S if not unavailable else 1.0)
            changed, self._changed = self._changed, {}
            try:
                await self._write(changed.values())
            except UNAVAILABLE_ERRORS as error:
                self._changed = changed | self._changed
                if not unavailable:
                    log.warning("Redis does not take last prices", why=str(error))
                unavailable = True
            else:
                unavailable = False

    async def _write(self, updates: Iterable[PriceUpdate]) -> None:
        commands = [price_command(update) for update in updates]
        if commands:
            await self._redis.ask(*commands)
