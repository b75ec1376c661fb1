"""Generates engine messages that interact: few markets, few accounts, levels a few ticks apart.

`MessageGenerator` reads the state of a `ReferenceEngine` (open trades, prices), so that most of its messages
have an effect. Every choice comes from the `random.Random` given to each method: a seeded one in the
simulator, Hypothesis's in the state machine test.

    generator = MessageGenerator(reference)
    line = generator.any_line(rng)
"""

import json
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.support.reference.engine import ReferenceEngine
from tests.support.reference.numbers import DAY_US, ONE, decimal, scaled
from tests.support.reference.records import Market

Json = dict[str, Any]

SECOND_US = 1_000_000
START_US = 1_700_000_000_000_000

# symbol → (base, quantity step, first price, tick), scaled. Two symbols share a base, with different steps.
MARKETS: dict[str, tuple[str, int, int, int]] = {
    "BTC_USDC_PERP": ("BTC", 1_000, 68_983 * ONE, 100 * ONE),
    "BTC_USDC": ("BTC", 10_000, 68_990 * ONE, 100 * ONE),
    "ETH_USDC_PERP": ("ETH", 7, 4_303_93000000, 10_70000000),
    "ADA_USDC_PERP": ("ADA", ONE, 54940000, 50001),
}
UNKNOWN = ("NONE", 1, ONE, ONE)
ACCOUNTS = ("a0", "a1", "a2", "a3", "émile")
UNDECODABLE = (
    "",
    "[]",
    "nothing",
    '{"type":"user_instruction"}',
    '{"type":"price_update","id":"p","time":-1}',
    '{"type":"user_instruction","id":"x","time":9000000000000000,"kind":"deposit","account":"a0","amount":"0"}',
    '{"type":"user_instruction","id":"x","time":9000000000000000,"kind":"deposit","account":"a0","amount":5}',
    '{"type":"user_instruction","id":"x","time":9000000000000000,"kind":"deposit","account":"a0","amount":"1e3"}',
    '{"type":"user_instruction","id":"x","time":9000000000000000,"kind":"deposit","account":"a0","amount":"-1"}',
    '{"type":"user_instruction","id":"x","time":9000000000000000,"kind":"close_trade","account":"a0","trade":null}',
    '{"type":"admin_instruction","id":"x","time":9000000000000000,"kind":"halt_everything"}',
)


@dataclass(frozen=True)
class Style:
    """How often each kind of message occurs, and how far from the price levels are set."""

    weights: dict[str, int]
    symbols: tuple[str, ...]
    level_scale: int
    leverages: tuple[int, ...]
    balances: tuple[str, ...]


DEFAULT_STYLE = Style(
    weights={
        "price_update": 480,
        "bad_price_update": 20,
        "create_trade": 130,
        "amend_trade": 70,
        "close_trade": 35,
        "place_order": 130,
        "cancel_order": 12,
        "deposit": 35,
        "withdraw": 15,
        "open_account": 6,
        "configure_market": 8,
        "halt_or_resume": 16,
        "repeat": 25,
    },
    symbols=tuple(MARKETS),
    level_scale=1,
    leverages=(1, 2, 5, 10, 20, 20, 50, 100),
    balances=("0", "5000", "5000", "9999.99999999", "1000000"),
)
# Hundreds of levels on two symbols and few refusals: many levels wait to fire.
CROWDED_STYLE = Style(
    weights=DEFAULT_STYLE.weights
    | {"create_trade": 260, "amend_trade": 130, "place_order": 200, "withdraw": 3, "configure_market": 1}
    | {"halt_or_resume": 4},
    symbols=("BTC_USDC_PERP", "ADA_USDC_PERP"),
    level_scale=6,
    leverages=(1, 2, 5, 10, 10),
    balances=("1000000",),
)


class MessageGenerator:
    """Generates JSON lines that refer to the open trades and orders of a reference engine."""

    def __init__(self, reference: ReferenceEngine, style: Style = DEFAULT_STYLE) -> None:
        self.reference = reference
        self.style = style
        self.now_us = START_US
        self.ids = 0
        self.update_ids = dict.fromkeys(MARKETS, 100)
        self.asks = {symbol: first for symbol, (_, _, first, _) in MARKETS.items()}
        self.sent: list[Json] = []  # user instructions, to be repeated

    def opening_lines(self, rng: Random) -> list[str]:
        """Lines that configure all markets, set first prices and open all accounts but the last."""
        configured = [self.configure_market(rng, symbol=symbol, usual=True) for symbol in MARKETS]
        prices = [self.price_update(rng, symbol=symbol) for symbol in MARKETS]
        accounts = [self.open_account(rng, account=account) for account in ACCOUNTS[:-1]]
        return [as_line(self.remembered(message)) for message in configured + prices + accounts]

    def any_line(self, rng: Random) -> str:
        """One line of a random kind, in the proportions of the style."""
        if rng.random() < 0.01:
            return rng.choice(UNDECODABLE)
        weights = self.style.weights
        kind = rng.choices(list(weights), list(weights.values()))[0]
        return as_line(self.remembered(getattr(self, kind)(rng)))

    def remembered(self, message: Json) -> Json:
        """Store a user instruction so that it can be repeated later; return the message."""
        if message["type"] == "user_instruction":
            self.sent.append(message)
        return message

    # ── prices ──────────────────────────────────────────────────────────────────────────────────

    def price_update(self, rng: Random, symbol: str | None = None) -> Json:
        """One step of a random walk, sometimes a gap; returns to the first price when too far from it."""
        symbol = symbol or rng.choice(self.style.symbols)
        _, _, first, tick = MARKETS[symbol]
        reach = 1 if rng.random() < 0.985 else 25
        moved = self.asks[symbol] + rng.randint(-reach, reach) * tick
        if abs(moved - first) > 40 * tick:
            moved = first
        self.asks[symbol] = moved
        spread = rng.choice((1, 1, 1, tick, tick, 2 * tick)) if rng.random() < 0.98 else 12 * tick
        return self._price(rng, symbol, moved - spread, moved)

    def bad_price_update(self, rng: Random) -> Json:
        """A price update that is dropped, for one or more reasons."""
        symbol = rng.choice([*MARKETS, "DOGE_USDC_PERP"])
        ask = self.asks.get(symbol, ONE)
        bid, ask = rng.choice([(ask, ask), (ask + 1, ask), (0, ask), (0, 0), (ask - 1, ask)])
        message = self._price(rng, symbol, bid, ask)
        if rng.random() < 0.4:
            message["update_id"] = max(0, message["update_id"] - rng.choice((1, 2, 50, 1000)))
        return message

    def _price(self, rng: Random, symbol: str, bid: int, ask: int) -> Json:
        self.update_ids[symbol] = self.update_ids.get(symbol, 0) + rng.choice((1, 1, 3))
        message = self._head(rng, "price_update", "p") | {
            "symbol": symbol,
            "bid": decimal(bid),
            "bid_quantity": "1.5",
            "ask": decimal(ask),
            "ask_quantity": "2",
            "update_id": self.update_ids[symbol],
        }
        return message | ({"venue_time_us": message["time"] - 1} if rng.random() < 0.3 else {})

    # ── admin instructions ──────────────────────────────────────────────────────────────────────

    def configure_market(self, rng: Random, symbol: str | None = None, *, usual: bool = False) -> Json:
        """Unless `usual`: another step, other rates or limits, and sometimes another base."""
        symbol = symbol or rng.choice(list(MARKETS))
        base, step, _, _ = MARKETS[symbol]
        usual = usual or rng.random() < 0.4
        return self._head(rng, "admin_instruction", "m") | {
            "kind": "configure_market",
            "symbol": symbol,
            "base": base if usual else rng.choice((base, base, "XYZ")),
            "quantity_step": decimal(step if usual else step * rng.choice((1, 1, 2, 3))),
            "min_notional": "5" if usual else rng.choice(("0", "1", "5", "50.00000001")),
            "max_leverage": 100 if usual else _mostly(rng, (100, 125), (0, 3, 20)),
            "maker_rate_bps": 2 if usual else rng.choice((0, 1, 30)),
            "taker_rate_bps": 5 if usual else _mostly(rng, (0, 7, 30), (300, 12_000)),
            "maintenance_rate_bps": 50 if usual else _mostly(rng, (0, 100), (2_000,)),
            "max_price_age_us": 5 * SECOND_US
            if usual
            else _mostly(rng, (3 * SECOND_US, DAY_US, 2 * DAY_US), (0, 1)),
        }

    def halt_or_resume(self, rng: Random) -> Json:
        """Halt or resume a market or account. Resumes more often; some names do not exist."""
        reference = self.reference
        halted = [("market", s) for s, market in reference.markets.items() if market.halted]
        halted += [("account", a) for a, is_halted in reference.accounts.items() if is_halted]
        verb = "resume" if halted and rng.random() < 0.95 else "halt"
        known = [("market", s) for s in MARKETS] + [("account", a) for a in ACCOUNTS]
        what, name = rng.choice(halted if verb == "resume" else [*known, ("market", "NO"), ("account", "no")])
        field = "symbol" if what == "market" else "account"
        return self._head(rng, "admin_instruction", "m") | {"kind": f"{verb}_{what}", field: name}

    # ── accounts ────────────────────────────────────────────────────────────────────────────────

    def open_account(self, rng: Random, account: str | None = None) -> Json:
        unopened = [name for name in ACCOUNTS if name not in self.reference.accounts]
        account = account or rng.choice(unopened or ACCOUNTS)
        initial = rng.choice(self.style.balances)
        return self._user(rng, "open_account", account) | {"initial_balance": initial}

    def deposit(self, rng: Random) -> Json:
        return self._user(rng, "deposit") | {"amount": rng.choice(("0.00000001", "500", "10000.33333333"))}

    def withdraw(self, rng: Random) -> Json:
        """A round amount, all the cash (often of an account with a resting buy), or one unit more."""
        buyers = [order.account for order in self.reference.orders.values() if order.side == "buy"]
        message = self._user(rng, "withdraw", rng.choice(buyers) if buyers and rng.random() < 0.7 else None)
        cash = self.reference.ledger.of(message["account"], "cash")
        amount = rng.choice((cash, cash, cash // 2, cash + 1) if buyers else (10 * ONE, 100 * ONE, cash + 1))
        return message | {"amount": decimal(max(1, amount))}

    # ── trades ──────────────────────────────────────────────────────────────────────────────────

    def create_trade(self, rng: Random) -> Json:
        message = self._user(rng, "create_trade")
        side, symbol = rng.choice(("long", "short")), self._symbol(rng)
        leverage = rng.choice(self.style.leverages)
        if rng.random() < 0.03:
            leverage = rng.choice((0, -1, 101, 10**6))
        message |= {"symbol": symbol, "side": side, "leverage": leverage}
        message["margin"] = rng.choice(
            ("20", "77.77777777", "100", "100", "100", "333.3", "999.99999999", "0.01")
        )
        for name in ("stop_loss", "take_profit", "trailing_stop"):
            if rng.random() < 0.4:
                message[name] = self._level(rng, symbol, name, side)
            elif rng.random() < 0.1:
                message[name] = None
        if "trailing_stop" in message and message["trailing_stop"] and rng.random() < 0.3:
            message["stop_loss"] = self._first_trailing_level(symbol, side, message["trailing_stop"])
        return message | self._slippage(rng, symbol)

    def amend_trade(self, rng: Random) -> Json:
        message = self._of_open(rng, "amend_trade", "trade", self.reference.trades)
        trade = self.reference.trades.get(message["trade"])
        symbol, side = (trade.symbol, trade.side) if trade else ("BTC_USDC_PERP", "long")
        for name in ("stop_loss", "take_profit", "trailing_stop"):
            choice = rng.random()
            if choice < 0.15:
                message[name] = None
            elif choice < 0.55:
                message[name] = self._level(rng, symbol, name, side)
            elif choice < 0.75 and trade and trade.levels:
                message[name] = decimal(max(0, rng.choice(list(trade.levels.values())).price))
        return message

    def close_trade(self, rng: Random) -> Json:
        message = self._of_open(rng, "close_trade", "trade", self.reference.trades)
        trade = self.reference.trades.get(message["trade"])
        open_quantity = trade.quantity if trade else ONE
        choice = rng.random()
        if choice < 0.5:
            message["quantity"] = decimal(open_quantity * rng.randint(1, 9) // 10)
        elif choice < 0.65:
            message["quantity"] = decimal(rng.choice((0, 1, open_quantity, open_quantity + 1)))
        return message

    # ── orders ──────────────────────────────────────────────────────────────────────────────────

    def place_order(self, rng: Random) -> Json:
        message = self._user(rng, "place_order")
        side, symbol = rng.choice(("buy", "buy", "sell")), self._symbol(rng)
        order_type = rng.choice(
            ("market", "market", "limit", "limit", "stop", "take_profit", "trailing_stop")
        )
        message |= {"symbol": symbol, "side": side, "order_type": order_type}
        message["quantity"] = self._quantity(rng, message["account"], symbol, side)
        if order_type in ("limit", "stop", "take_profit") or rng.random() < 0.1:
            message["price"] = self._level(rng, symbol, order_type, side)
        if order_type == "trailing_stop" or rng.random() < 0.1:
            message["distance"] = self._level(rng, symbol, "trailing_stop", side)
        if rng.random() < 0.25:
            message["oco_with"] = self._partner(rng, message["account"])
        return message | self._slippage(rng, symbol)

    def cancel_order(self, rng: Random) -> Json:
        return self._of_open(rng, "cancel_order", "order", self.reference.orders)

    def _partner(self, rng: Random, account: str) -> str | None:
        own = [o.id for o in self.reference.orders.values() if o.account == account and o.partner is None]
        if own and rng.random() < 0.85:
            return rng.choice(own)
        return rng.choice([*self.reference.orders, "0:0:0", None])

    def _quantity(self, rng: Random, account: str, symbol: str, side: str) -> str:
        """Worth 4 to 1,500 USD, or (almost) all that is free; sometimes no multiple of the step."""
        base, step, first, _ = MARKETS.get(symbol, UNKNOWN)
        market = self.reference.markets.get(symbol)
        step = market.quantity_step if market else step
        worth = rng.choice((4, 60, 60, 200, 200, 1_500)) * ONE
        if side == "buy" and rng.random() < 0.25:
            worth = max(worth, self.reference.ledger.of(account, "cash") * 98 // 100)
        quantity = worth * ONE // self.asks.get(symbol, first)
        free = self.reference.ledger.of(account, "free", base)
        if side == "sell" and free and rng.random() < 0.8:
            quantity = free if rng.random() < 0.5 else free // 2
        quantity -= quantity % step
        return decimal(rng.choice((0, step + 1)) if rng.random() < 0.04 else max(step, quantity))

    # ── repeats, and helpers of all kinds ───────────────────────────────────────────────────────

    def repeat(self, rng: Random) -> Json:
        """Use an id again: soon, or about 24 h after its first answer; sometimes with other contents."""
        if not self.sent:
            return self.price_update(rng)
        message = dict(rng.choice(self.sent if rng.random() < 0.2 else self.sent[-60:]))
        answered = self.reference.answers.get((message["account"], message["id"]))
        if answered and rng.random() < 0.12:
            self.now_us = max(self.now_us, answered[0] + DAY_US + rng.choice((-1, 0, 1)))
            return message | {"time": self.now_us}
        if rng.random() < 0.3:
            other = self.close_trade(rng) if rng.random() < 0.5 else self.deposit(rng)
            message = other | {"id": message["id"], "account": message["account"]}
        return message | {"time": self._time(rng)}

    def _head(self, rng: Random, kind: str, prefix: str) -> Json:
        self.ids += 1
        return {"type": kind, "id": f"{prefix}{self.ids}", "time": self._time(rng)}

    def _user(self, rng: Random, kind: str, account: str | None = None) -> Json:
        message = self._head(rng, "user_instruction", "i")
        name = account or rng.choice(ACCOUNTS if rng.random() < 0.98 else ("unknown", ""))
        return message | {"kind": kind, "account": name}

    def _of_open(self, rng: Random, kind: str, field: str, known: dict[str, Any]) -> Json:
        """An instruction for an open trade or order; sometimes of another account or for an unknown id."""
        subject = rng.choice(list(known.values())) if known and rng.random() < 0.93 else None
        message = self._user(rng, kind, subject.account if subject and rng.random() < 0.95 else None)
        gone = f"{self.reference.shard}:{rng.randint(0, max(1, self.reference.position))}:0"
        message[field] = subject.id if subject else gone
        return message

    def _time(self, rng: Random) -> int:
        """Mostly some milliseconds later; sometimes equal, earlier, or much later."""
        choice = rng.random()
        if choice < 0.05:
            return self.now_us - rng.randint(0, 10 * SECOND_US)
        if choice < 0.99:
            self.now_us += rng.choice((0, 1, 1_000, 20_000, 100_000))
        elif choice < 0.9985:
            self.now_us += rng.choice((5 * SECOND_US, 5 * SECOND_US + 1, SECOND_US, 7 * SECOND_US))
        else:
            self.now_us += rng.choice((DAY_US - 1, DAY_US, DAY_US + 1))
        return self.now_us

    def _symbol(self, rng: Random) -> str:
        return rng.choice(self.style.symbols) if rng.random() < 0.98 else "DOGE_USDC_PERP"

    def _level(self, rng: Random, symbol: str, name: str, side: str) -> str:
        """A level a few ticks from the price, mostly valid; often equal to an existing level."""
        _, _, first, tick = MARKETS.get(symbol, UNKNOWN)
        tick *= self.style.level_scale
        market: Market | None = self.reference.markets.get(symbol)
        if name == "trailing_stop":
            return decimal(rng.choice((1, 2, 3, 5, 8, 12) if rng.random() < 0.95 else (0, 10**6)) * tick)
        dues = self.reference.levels(market) if market else []
        alike = [due for due in dues if due.level_class == name]
        taken = [due.level.price for due in (alike if rng.random() < 0.5 else dues)]
        if taken and rng.random() < 0.45:
            return decimal(max(0, rng.choice(taken)))
        ask = market.ask if market and market.ask else first
        below = (side in ("long", "buy")) == (name in ("stop_loss", "limit"))
        if name == "take_profit" and side in ("buy", "sell"):
            below = side == "buy"
        offset = rng.choice((2, 3, 4, 5, 6, 10, 20) if rng.random() < 0.93 else (-3, -1, 0, 1)) * tick
        return decimal(max(0, ask - offset if below else ask + offset))

    def _first_trailing_level(self, symbol: str, side: str, distance: str) -> str:
        """The first level of a trailing stop, so that a stop loss can be set to the same level."""
        market = self.reference.markets.get(symbol)
        if market is None:
            return "1"
        level = market.bid - scaled(distance) if side == "long" else market.ask + scaled(distance)
        return decimal(max(0, level))

    def _slippage(self, rng: Random, symbol: str) -> Json:
        if rng.random() > 0.15:
            return {}
        expected = self.asks.get(symbol, ONE) * rng.choice((10_000, 10_000, 9_990, 10_010)) // 10_000
        fields = {"expected_price": decimal(expected), "max_slippage_bps": rng.choice((0, 5, 10, 20_000))}
        if rng.random() < 0.1:
            fields.pop(rng.choice(list(fields)))
        return fields


def _mostly(rng: Random, usual: tuple[int, ...], rare: tuple[int, ...]) -> int:
    return rng.choice(usual if rng.random() < 0.85 else rare)


def as_line(message: Json) -> str:
    """The message as a line of a file."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def with_extreme_numbers(line: str, rng: Random) -> str:
    """Replace some numbers of the line by tiny, huge or round ones that fit into 64 bits."""
    if line in UNDECODABLE:
        return line
    message = json.loads(line)
    for name, value in message.items():
        if rng.random() > 0.04 or name in ("time", "update_id", "quantity_step"):
            continue
        if isinstance(value, int):
            message[name] = rng.choice((0, 1, 10_000, 10**6, 2**62, rng.randrange(20_000)))
        elif isinstance(value, str) and _is_decimal(value):
            size = 10 ** rng.randint(1, 18)
            message[name] = rng.choice(
                ("0", "0.00000001", "92233720368.54775807", decimal(rng.randrange(size)))
            )
    return as_line(message)


def _is_decimal(text: str) -> bool:
    try:
        scaled(text)
    except ValueError:
        return False
    return True


class Scenario:
    """A seeded run of the generator. The same seed and length give the same lines.

    With `seed % 4 == 1` some numbers are extreme; with `seed % 4 == 3` the style is `CROWDED_STYLE`.
    """

    def __init__(self, seed: int, length: int) -> None:
        self.seed = seed
        rng = Random(seed)
        self.reference = ReferenceEngine(shard=seed % 7)
        generator = MessageGenerator(self.reference, CROWDED_STYLE if seed % 4 == 3 else DEFAULT_STYLE)
        self.lines: list[str] = []
        self.outputs: list[list[Json]] = []
        for line in generator.opening_lines(rng):
            self._send(line)
        while len(self.lines) < length:
            line = generator.any_line(rng)
            self._send(with_extreme_numbers(line, rng) if seed % 4 == 1 else line)

    def _send(self, line: str) -> None:
        self.lines.append(line)
        self.outputs.append(self.reference.apply_line(line))
