"""The decisions of traders: pure functions of recent prices and a seeded random generator."""

import random
from collections.abc import Sequence
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Final, Literal, NamedTuple

Side = Literal["long", "short"]
_BPS: Final = Decimal(10_000)
_SIGNAL_BPS: Final = 3  # a smaller move is not a trend


class Style(NamedTuple):
    """`follow` 1 trades with the trend, -1 against it. `skill` is the share of decisions that use the trend;
    the others are random. `stop_bps` and `target_bps` are distances from the entry, 0 for none.
    """

    name: str
    follow: int
    skill: float
    lookback_s: int
    leverage: int
    margin_share: Decimal
    stop_bps: int
    target_bps: int
    hold_s: tuple[int, int]


STYLES: Final = (
    Style("Trend", 1, 0.9, 20, 10, Decimal("0.10"), 30, 60, (20, 50)),
    Style("Swing", 1, 0.75, 40, 6, Decimal("0.15"), 45, 90, (30, 70)),
    Style("Patient", 1, 0.95, 30, 3, Decimal("0.20"), 0, 80, (40, 80)),
    Style("Contrarian", -1, 0.7, 20, 8, Decimal("0.10"), 30, 30, (15, 40)),
    Style("Coin", 1, 0.0, 0, 5, Decimal("0.08"), 25, 25, (15, 45)),
    Style("Gambler", 1, 0.2, 10, 50, Decimal("0.12"), 0, 40, (10, 40)),
)

_FIRST_NAMES: Final = ("Ada", "Bela", "Cato", "Dana", "Emil", "Fay", "Gus", "Hana", "Ines", "Joan")


class Tick(NamedTuple):
    """A market's prices at one time (monotonic seconds)."""

    at_s: float
    bid: Decimal
    ask: Decimal


class Plan(NamedTuple):
    """A trade to open. A level that is `None` is not set."""

    side: Side
    leverage: int
    margin: Decimal
    stop_loss: Decimal | None
    take_profit: Decimal | None
    hold_s: float


def style_of(number: int) -> Style:
    return STYLES[number % len(STYLES)]


def display_name(number: int) -> str:
    """A readable name, different for every trader: `Trend Ada`, …"""
    round_number = number // (len(STYLES) * len(_FIRST_NAMES))
    name = f"{style_of(number).name} {_FIRST_NAMES[(number // len(STYLES)) % len(_FIRST_NAMES)]}"
    return f"{name} {round_number + 1}" if round_number else name


def plan(
    style: Style, ticks: Sequence[Tick], cash: Decimal, max_leverage: int, rng: random.Random
) -> Plan | None:
    """The trade that this style opens now, from `ticks` (oldest first) and its cash; `None` to wait."""
    if not ticks:
        return None
    side = _side(style, ticks, rng)
    margin = (cash * style.margin_share).quantize(Decimal("0.01"), ROUND_DOWN)
    if side is None or margin <= 0:
        return None
    last = ticks[-1]
    up, down = (style.target_bps, style.stop_bps) if side == "long" else (style.stop_bps, style.target_bps)
    above = _level(last.ask, up) if up else None
    below = _level(last.bid, -down) if down else None
    stop_loss, take_profit = (below, above) if side == "long" else (above, below)
    return Plan(
        side, min(style.leverage, max_leverage), margin, stop_loss, take_profit, rng.uniform(*style.hold_s)
    )


def _side(style: Style, ticks: Sequence[Tick], rng: random.Random) -> Side | None:
    """The direction, `None` if the style follows the trend and there is none yet."""
    if rng.random() >= style.skill:
        return rng.choice(("long", "short"))
    since_s = ticks[-1].at_s - style.lookback_s
    if ticks[0].at_s > since_s:
        return None
    before = next(tick for tick in reversed(ticks) if tick.at_s <= since_s)
    move_bps = (ticks[-1].bid - before.bid) / before.bid * _BPS * style.follow
    if abs(move_bps) < _SIGNAL_BPS:
        return None
    return "long" if move_bps > 0 else "short"


def _level(price: Decimal, bps: int) -> Decimal:
    """The price plus `bps` basis points, with at most eight decimals."""
    return (price * (_BPS + bps) / _BPS).quantize(Decimal("0.00000001"), ROUND_HALF_UP).normalize()
