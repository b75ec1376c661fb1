"""Runs the engine and the reference on the same lines and compares all their outputs."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from paceline.engine import Engine
from paceline.messages.json_form import DecodeError, decode_line, output_to_json
from paceline.messages.log_form import decode_messages, encode_messages
from tests.support.reference.engine import ReferenceEngine
from tests.support.reference.numbers import decimal
from tests.support.reference.records import Order, Trade

Json = dict[str, Any]


class Disagreement(AssertionError):
    """The engine and the reference give different outputs for the same messages."""


def apply_line(engine: Engine, line: str) -> list[Json]:
    """Outputs of a line. The message is encoded and decoded as on the log, if its numbers fit."""
    try:
        message = decode_line(line)
    except DecodeError:
        engine.apply_undecodable()
        return []
    with suppress(OverflowError):  # numbers beyond 64 bits occur in files only
        (decoded,) = decode_messages(encode_messages([message]))
        assert decoded == message, "the two forms decode to different structs"
    return [output_to_json(output) for output in engine.apply(message)]


class EnginePair:
    """Both engines at the same position."""

    def __init__(self, shard: int = 0) -> None:
        self.engine = Engine(shard=shard)
        self.reference = ReferenceEngine(shard=shard)

    def apply(self, line: str) -> list[Json]:
        """Apply a line to both engines and return the outputs. Raises `Disagreement` if they differ."""
        position = self.reference.position
        return self.compare(position, line, self.reference.apply_line(line))

    def compare(self, position: int, line: str, expected: list[Json]) -> list[Json]:
        actual = apply_line(self.engine, line)
        if _text(actual) != _text(expected):
            raise Disagreement(
                f"at position {position} of\n  {line}\nengine:\n{_listed(actual)}\n"
                f"reference:\n{_listed(expected)}"
            )
        return expected

    def restart_engine(self) -> None:
        """Replace the engine by one that is loaded from its snapshot."""
        before = self.engine.state_hash()
        self.engine = Engine.load(list(self.engine.dump_slices()))
        if self.engine.state_hash() != before:
            raise Disagreement(f"the snapshot at position {self.reference.position} loads to another state")

    def compare_state(self) -> None:
        """Compare balances, open trades, resting orders, ledger and counters."""
        engine, reference = self.engine, self.reference
        engine.check_ledger()
        reference.ledger.check()
        compared = {
            "position": (engine.position, reference.position),
            "log time": (engine.log_time, reference.log_time),
            "balances": (_balances(engine, reference), _reference_balances(reference)),
            "trades": (_trades(engine), [_trade(t) for t in reference.trades.values()]),
            "orders": (_orders(engine), [_order(o) for o in reference.orders.values()]),
            "ledger": (_without_zeros(engine.ledger()), _without_zeros(reference.ledger.totals())),
            "undecodable": (engine.stats().undecodable, reference.undecodable),
            "dropped": (Counter(engine.stats().dropped), Counter(reference.dropped)),
        }
        for what, (actual, expected) in compared.items():
            if actual != expected:
                raise Disagreement(f"{what} after position {reference.position}: {actual!r} != {expected!r}")


def check_agreement(lines: Sequence[str], shard: int = 0, *, state_every: int = 150) -> EnginePair:
    """Run both engines on all lines. Raises `Disagreement` at the first difference."""
    pair = EnginePair(shard)
    for number, line in enumerate(lines, 1):
        pair.apply(line)
        if number % state_every == 0:
            pair.compare_state()
    pair.compare_state()
    return pair


def shrink(lines: Sequence[str], shard: int) -> list[str]:
    """Blank as many lines as possible while the engines still disagree. Blank lines keep all positions."""
    least = list(lines)
    size = len(least)
    while size > 0:
        for start in range(0, len(least), size):
            tried = [*least[:start], *[""] * len(least[start : start + size]), *least[start + size :]]
            if tried != least and _disagree(tried, shard):
                least = tried
        size //= 2
    return least


def _disagree(lines: Sequence[str], shard: int) -> bool:
    try:
        check_agreement(lines, shard, state_every=1)
    except Exception:  # any failure counts as a disagreement
        return True
    return False


# ── the state of both engines in one form ─────────────────────────────────────────────────────────────────


def _balances(engine: Engine, reference: ReferenceEngine) -> list[Json]:
    views = [engine.account_view(name) for name in reference.accounts]
    return [
        {
            "cash": decimal(view.cash),
            "margin": decimal(view.margin),
            "locked": decimal(view.locked),
            "balances": {asset: decimal(amount) for asset, amount in view.free.items()},
            "locked_balances": {asset: decimal(amount) for asset, amount in view.held.items()},
        }
        for view in views
        if view is not None
    ]


def _reference_balances(reference: ReferenceEngine) -> list[Json]:
    return [reference.balances_of(name) for name in reference.accounts]


def _trades(engine: Engine) -> list[tuple[Any, ...]]:
    return [
        (t.id, t.account, t.symbol, t.side, t.quantity, t.entry, t.margin, t.leverage, t.opened, levels)
        for t in engine.open_trades()
        for levels in [(t.liquidation, t.stop_loss, engine.trailing_level(t), t.take_profit)]
    ]


def _trade(t: Trade) -> tuple[Any, ...]:
    names = ("liquidation", "stop_loss", "trailing_stop", "take_profit")
    levels = tuple(t.levels[name].price if name in t.levels else None for name in names)
    return (t.id, t.account, t.symbol, t.side, t.quantity, t.entry, t.margin, t.leverage, t.opened, levels)


def _orders(engine: Engine) -> list[tuple[Any, ...]]:
    return [
        (o.id, o.account, o.symbol, o.side, o.order_type, o.quantity, o.price, o.lock, o.partner, o.opened)
        for o in engine.resting_orders()
    ]


def _order(o: Order) -> tuple[Any, ...]:
    price = None if o.order_type == "trailing_stop" else o.level.price
    return (o.id, o.account, o.symbol, o.side, o.order_type, o.quantity, price, o.lock, o.partner, o.opened)


def _without_zeros(ledger: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    kept = {
        asset: {place: total for place, total in places.items() if total} for asset, places in ledger.items()
    }
    return {asset: places for asset, places in kept.items() if places}


def _text(outputs: Iterable[Json]) -> list[str]:
    return [json.dumps(output, ensure_ascii=False) for output in outputs]


def _listed(outputs: Iterable[Json]) -> str:
    return "\n".join(f"  {text}" for text in _text(outputs)) or "  nothing"
