"""The loads of `bench.core`: generated from a seed and encoded as on the log."""

from collections.abc import Iterator, Sequence
from random import Random

from paceline.core.money import SCALE
from paceline.messages.inbound import (
    CloseTrade,
    ConfigureMarket,
    CreateTrade,
    Inbound,
    OpenAccount,
    PriceUpdate,
)
from paceline.messages.log_form import encode_messages

SYMBOL = "BTC_USDC_PERP"
BATCH = 500
START_US = 1_700_000_000_000_000
MID = 60_000 * SCALE
TICK = SCALE // 10


def market(position: int = 0) -> ConfigureMarket:
    return ConfigureMarket(
        id=f"m{position}",
        time=START_US,
        symbol=SYMBOL,
        base="BTC",
        quantity_step=SCALE // 100_000,
        min_notional=5 * SCALE,
        max_leverage=100,
        maker_rate_bps=2,
        taker_rate_bps=5,
        maintenance_rate_bps=50,
        max_price_age_us=5_000_000,
    )


def price(number: int, bid: int) -> PriceUpdate:
    return PriceUpdate(
        f"p{number}", START_US + number, SYMBOL, bid, SCALE, bid + TICK, SCALE, number, START_US + number
    )


def accounts(count: int) -> Iterator[Inbound]:
    for number in range(count):
        yield OpenAccount(f"o{number}", START_US, f"account-{number}", 1_000_000 * SCALE)


def trade(number: int, account: int, mid: int, trailing: int | None = None) -> CreateTrade:
    """A small trade with a stop loss and a take profit 5 to 10 % away; the distance depends on `number`."""
    spread = mid * (500 + number % 500) // 10_000
    return CreateTrade(
        id=f"c{number}",
        time=START_US + number,
        account=f"account-{account}",
        symbol=SYMBOL,
        side="long",
        margin=100 * SCALE,
        leverage=5,
        stop_loss=mid - spread,
        take_profit=mid + spread,
        trailing_stop=trailing,
    )


class Walk:
    """A random walk of bids in steps of a tick, within 2 % of its start."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.bid = MID

    def step(self) -> int:
        self.bid += self.rng.choice((-TICK, 0, TICK))
        self.bid = min(max(self.bid, MID * 98 // 100), MID * 102 // 100)
        return self.bid


def mixed(first_position: int, messages: int, accounts_open: int, seed: int = 1) -> list[Inbound]:
    """80 % prices, 15 % opens with stop loss and take profit, 5 % closes of opened trades."""
    rng = Random(seed)
    walk = Walk(rng)
    opened: list[tuple[str, int]] = []
    made: list[Inbound] = []
    for number in range(first_position, first_position + messages):
        choice = rng.random()
        if choice < 0.80 or (choice >= 0.95 and not opened):
            made.append(price(number, walk.step()))
        elif choice < 0.95:
            account = rng.randrange(accounts_open)
            opened.append((f"0:{number}:0", account))
            made.append(trade(number, account, walk.bid))
        else:
            at = rng.randrange(len(opened))
            opened[at], opened[-1] = opened[-1], opened[at]
            id_, account = opened.pop()
            made.append(CloseTrade(f"x{number}", START_US + number, f"account-{account}", id_))
    return made


def prices(first_position: int, messages: int, seed: int = 2) -> list[Inbound]:
    walk = Walk(Random(seed))
    return [price(number, walk.step()) for number in range(first_position, first_position + messages)]


def rising(first_position: int, messages: int, start: int) -> list[Inbound]:
    """Bids that are a new high each time, with steps too small to reach a take profit."""
    return [
        price(number, start + TICK // 100 * (number - first_position + 1))
        for number in range(first_position, first_position + messages)
    ]


def encoded(messages: Sequence[Inbound]) -> list[bytes]:
    """The messages as encoded batches of the log."""
    return [encode_messages(messages[i : i + BATCH]) for i in range(0, len(messages), BATCH)]
