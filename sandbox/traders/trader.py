"""One trader: it opens, holds and closes trades, and sometimes buys or sells an asset."""

import asyncio
import random
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

import httpx
import structlog
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    wait_exception,
    wait_random_exponential,
)

from sandbox.traders.api import ApiClient, ApiUnavailable, RequestRefused
from sandbox.traders.prices import PriceHistory
from sandbox.traders.styles import Style, plan

log = structlog.get_logger("traders")

_REST_S: Final = (1.5, 4.0)
_MIN_CASH_USD: Final = Decimal(20)
_LOW_CASH_REST_S: Final = 300.0
_SPOT_CHANCE: Final = 0.1
_SPOT_USD: Final = Decimal(50)
_PART_CHANCE: Final = 0.15
_MAX_REST_S: Final = 60.0


@dataclass
class HeldTrade:
    """An open trade of this trader, and when to close it (monotonic seconds)."""

    trade: str
    symbol: str
    quantity: Decimal
    until_s: float


class Trader:
    def __init__(self, name: str, style: Style, member: ApiClient, market: PriceHistory, seed: int) -> None:
        self.name = name
        self._style = style
        self._member = member
        self._market = market
        self._rng = random.Random(f"{seed}:{name}")
        self._held: HeldTrade | None = None
        self._only_trade_known = False  # whether `_held` is known to be the only open trade

    async def run(self) -> None:
        """Run forever. Refusals are logged; while the API is unavailable the pauses grow."""
        patiently = AsyncRetrying(
            retry=retry_if_exception_type((ApiUnavailable, httpx.HTTPError)),
            wait=wait_exception(_asked_pause_s) + wait_random_exponential(1.0, _MAX_REST_S),
            before_sleep=self._note_failure,
        )
        while True:
            rest_s: float = await patiently(self._turn)
            await asyncio.sleep(self._rng.uniform(*_REST_S) + rest_s)

    async def _turn(self) -> float:
        """Do at most one action. Returns additional seconds to rest."""
        try:
            if self._held is None and not self._only_trade_known:
                await self._adopt_open_trade()
            return await self._act()
        except RequestRefused as refused:
            self._log("refused", why=str(refused))
            return 0.0

    def _note_failure(self, state: RetryCallState) -> None:
        self._only_trade_known = False
        error = state.outcome.exception() if state.outcome else None
        why = str(error) or type(error).__name__
        self._log("cannot act", why=why, rest_s=round(state.upcoming_sleep, 1))

    async def _adopt_open_trade(self) -> None:
        """Continue with a trade left open by an earlier run or by a request whose answer was lost."""
        positions = (await self._member.get("/trade/positions"))["positions"]
        self._only_trade_known = len(positions) <= 1
        if positions:
            first = positions[0]
            self._hold(first["trade"], first["symbol"], Decimal(first["quantity"]), hold_s=5)
            self._log("continues", trade=first["trade"], open=len(positions))

    async def _act(self) -> float:
        """Do at most one action. Returns additional seconds to rest."""
        if self._held is not None:
            if asyncio.get_running_loop().time() >= self._held.until_s:
                await self._close(self._held)
            return 0.0
        if self._rng.random() < _SPOT_CHANCE:
            await self._spot()
            return 0.0
        return await self._open()

    async def _open(self) -> float:
        symbols = sorted(symbol for symbol, ticks in self._market.ticks.items() if ticks)
        if not symbols:
            return 0.0
        symbol = self._rng.choice(symbols)
        cash = Decimal((await self._member.get("/account/balance/usd"))["cash"])
        if cash < _MIN_CASH_USD:
            self._log("has too little cash", cash=str(cash))
            return _LOW_CASH_REST_S
        max_leverage = int(self._market.assets[symbol]["max_leverage"])
        wanted = plan(self._style, self._market.ticks[symbol], cash, max_leverage, self._rng)
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
        self._log("opened", trade=answer["trade"], price=answer["price"], **body)
        return 0.0

    async def _close(self, held: HeldTrade) -> None:
        """Close the trade, or half of it first. A trade that no longer exists was closed by a level."""
        step = Decimal(self._market.assets.get(held.symbol, {}).get("quantity_step", "1"))
        half = (held.quantity / 2 / step).to_integral_value(ROUND_DOWN) * step
        body = {"trade": held.trade}
        part = half > 0 and self._rng.random() < _PART_CHANCE
        if part:
            body["quantity"] = _text(half)
        try:
            answer = await self._member.post("/trade/close", body)
        except RequestRefused as refused:
            if refused.code != "TRADE_NOT_FOUND":
                raise
            self._held = None
            self._log("already closed", trade=held.trade, symbol=held.symbol)
            return
        self._log("closed", trade=held.trade, price=answer["price"], quantity=answer["quantity"], part=part)
        if part:
            self._hold(held.trade, held.symbol, held.quantity - half, self._rng.uniform(*self._style.hold_s))
        else:
            self._held = None

    async def _spot(self) -> None:
        """Buy an asset for about 50 USD, or sell all free units of it."""
        symbols = sorted(symbol for symbol, ticks in self._market.ticks.items() if ticks)
        if not symbols:
            return
        symbol = self._rng.choice(symbols)
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
        self._log("ordered", price=answer["price"], **body)

    def _hold(self, trade: str, symbol: str, quantity: Decimal, hold_s: float) -> None:
        self._held = HeldTrade(trade, symbol, quantity, asyncio.get_running_loop().time() + hold_s)

    def _log(self, action: str, **details: Any) -> None:
        log.info(action, trader=self.name, **details)


def _asked_pause_s(error: BaseException) -> float:
    """The pause that the API asks for, or a second; at most `_MAX_REST_S`."""
    return min(float(getattr(error, "after_s", 1.0)), _MAX_REST_S)


def _text(number: Decimal) -> str:
    """A plain decimal, without an exponent."""
    return f"{number:f}"
