"""One trader: looks, opens, holds, closes; now and then buys or sells an asset."""

import asyncio
import random
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

import httpx
import structlog

from sandbox.traders.api import Away, Member, Refused
from sandbox.traders.market import Market
from sandbox.traders.styles import Style, plan

log = structlog.get_logger("traders")

_LOOK_S: Final = (1.5, 4.0)
_POOR_USD: Final = Decimal(20)
_POOR_REST_S: Final = 300.0
_SPOT_CHANCE: Final = 0.1
_SPOT_USD: Final = Decimal(50)
_PART_CHANCE: Final = 0.15
_MAX_REST_S: Final = 60.0


@dataclass
class Held:
    """A trade of ours and when we mean to close it (monotonic seconds)."""

    trade: str
    symbol: str
    quantity: Decimal
    until_s: float


class Trader:
    def __init__(self, name: str, style: Style, member: Member, market: Market, seed: int) -> None:
        self.name = name
        self._style = style
        self._member = member
        self._market = market
        self._draw = random.Random(f"{seed}:{name}")
        self._held: Held | None = None
        self._sure = False  # whether what we hold is all that is open

    async def run(self) -> None:
        """For ever. Refusals are part of life; while the API is away the pauses grow."""
        failures = 0
        while True:
            rest_s = self._draw.uniform(*_LOOK_S)
            try:
                if self._held is None and not self._sure:
                    await self._adopt()
                rest_s += await self._look()
                failures = 0
            except Refused as refused:
                self._say("refused", why=str(refused))
            except (Away, httpx.HTTPError) as error:
                failures += 1
                self._sure = False
                rest_s += min(getattr(error, "after_s", 1.0) * 2 ** min(failures - 1, 6), _MAX_REST_S)
                self._say("cannot act", why=str(error) or type(error).__name__, rest_s=round(rest_s, 1))
            await asyncio.sleep(rest_s)

    async def _adopt(self) -> None:
        """Take up a trade that an earlier run, or an answer that never came, left open."""
        positions = (await self._member.get("/trade/positions"))["positions"]
        self._sure = len(positions) <= 1
        if positions:
            first = positions[0]
            self._hold(first["trade"], first["symbol"], Decimal(first["quantity"]), hold_s=5)
            self._say("goes on", trade=first["trade"], open=len(positions))

    async def _look(self) -> float:
        """Do at most one thing; the seconds to rest on top."""
        if self._held is not None:
            if asyncio.get_running_loop().time() >= self._held.until_s:
                await self._close(self._held)
            return 0.0
        if self._draw.random() < _SPOT_CHANCE:
            await self._spot()
            return 0.0
        return await self._open()

    async def _open(self) -> float:
        symbols = sorted(symbol for symbol, ticks in self._market.ticks.items() if ticks)
        if not symbols:
            return 0.0
        symbol = self._draw.choice(symbols)
        cash = Decimal((await self._member.get("/account/balance/usd"))["cash"])
        if cash < _POOR_USD:
            self._say("is broke", cash=str(cash))
            return _POOR_REST_S
        max_leverage = int(self._market.assets[symbol]["max_leverage"])
        wanted = plan(self._style, self._market.ticks[symbol], cash, max_leverage, self._draw)
        if wanted is None:
            return 0.0
        body: dict[str, Any] = {
            "symbol": symbol,
            "side": wanted.side,
            "margin": _text(wanted.margin),
            "leverage": wanted.leverage,
        }
        if wanted.stop_loss is not None:
            body["stop_loss"] = _text(wanted.stop_loss)
        if wanted.take_profit is not None:
            body["take_profit"] = _text(wanted.take_profit)
        answer = await self._member.post("/trade/create", body)
        self._hold(answer["trade"], symbol, Decimal(answer["quantity"]), wanted.hold_s)
        self._say("opened", trade=answer["trade"], price=answer["price"], **body)
        return 0.0

    async def _close(self, held: Held) -> None:
        """Close all, or first a half of it. A trade that is not there any more hit a level."""
        step = Decimal(self._market.assets.get(held.symbol, {}).get("quantity_step", "1"))
        half = (held.quantity / 2 / step).to_integral_value(ROUND_DOWN) * step
        body = {"trade": held.trade}
        part = half > 0 and self._draw.random() < _PART_CHANCE
        if part:
            body["quantity"] = _text(half)
        try:
            answer = await self._member.post("/trade/close", body)
        except Refused as refused:
            if refused.code != "TRADE_NOT_FOUND":
                raise
            self._held = None
            self._say("found closed", trade=held.trade, symbol=held.symbol)
            return
        self._say("closed", trade=held.trade, price=answer["price"], quantity=answer["quantity"], part=part)
        if part:
            self._hold(held.trade, held.symbol, held.quantity - half, self._draw.uniform(*self._style.hold_s))
        else:
            self._held = None

    async def _spot(self) -> None:
        """Buy about 50 USD worth of an asset, or sell all that was bought of one."""
        symbols = sorted(symbol for symbol, ticks in self._market.ticks.items() if ticks)
        if not symbols:
            return
        symbol = self._draw.choice(symbols)
        asset = self._market.assets[symbol]
        step = Decimal(asset["quantity_step"])
        free = Decimal((await self._member.get("/account/balance"))["balances"].get(asset["base"], "0"))
        side = "sell" if free >= step else "buy"
        wanted = free if side == "sell" else _SPOT_USD / self._market.ticks[symbol][-1].ask
        quantity = (wanted / step).to_integral_value(ROUND_DOWN) * step
        if quantity <= 0:
            return
        body = {"symbol": symbol, "side": side, "quantity": _text(quantity), "order_type": "market"}
        answer = await self._member.post("/trade/order", body)
        self._say("ordered", price=answer["price"], **body)

    def _hold(self, trade: str, symbol: str, quantity: Decimal, hold_s: float) -> None:
        self._held = Held(trade, symbol, quantity, asyncio.get_running_loop().time() + hold_s)

    def _say(self, action: str, **details: Any) -> None:
        log.info(action, trader=self.name, **details)


def _text(number: Decimal) -> str:
    """A plain decimal, without an exponent."""
    return f"{number:f}"
