"""Messages of `engine.in`. They are arrays on the log: **fields may only be appended**, tags never change.

Prices, quantities and amounts are integers of 10⁻⁸ units; rates and slippage are basis points;
times are microseconds. Our feed or API sets `time` when it writes to the log.

An instruction with the character NUL in a text decodes in neither encoding, because Postgres cannot store it.
Price updates are not checked for NUL: their text is stored nowhere, and they are frequent.
"""

from typing import Annotated, Final, Literal, NoReturn

from msgspec import Meta, Struct

Scaled = Annotated[int, Meta(ge=0, extra={"wire": "decimal"})]
Positive = Annotated[int, Meta(gt=0, extra={"wire": "decimal"})]
Amount = Annotated[int, Meta(extra={"wire": "decimal"})]
"""May be negative. Outputs have it: the engine made them, so nothing checks their range."""
Count = Annotated[int, Meta(ge=0)]
Bps = Annotated[int, Meta(ge=0)]

TradeSide = Literal["long", "short"]
OrderSide = Literal["buy", "sell"]
OrderType = Literal["market", "limit", "stop", "take_profit", "trailing_stop"]

# Bits of `AmendTrade.sets`: the levels that the message names. A level that is named and None is removed.
SETS_STOP_LOSS: Final = 1
SETS_TAKE_PROFIT: Final = 2
SETS_TRAILING_STOP: Final = 4


def _refuse_nul() -> NoReturn:
    raise ValueError("text must not contain the character NUL: JSONB cannot store it")


class PriceUpdate(Struct, array_like=True, frozen=True, gc=False, tag=1):
    id: str
    time: Count
    symbol: str
    bid: Scaled
    bid_quantity: Scaled
    ask: Scaled
    ask_quantity: Scaled
    update_id: Count
    venue_time_us: Count | None = None


class ConfigureMarket(Struct, array_like=True, frozen=True, gc=False, tag=10):
    id: str
    time: Count
    symbol: str
    base: str
    quantity_step: Positive
    min_notional: Scaled
    max_leverage: Count
    maker_rate_bps: Bps
    taker_rate_bps: Bps
    maintenance_rate_bps: Bps
    max_price_age_us: Count

    def __post_init__(self) -> None:
        if "\0" in self.id or "\0" in self.symbol or "\0" in self.base:
            _refuse_nul()


class HaltMarket(Struct, array_like=True, frozen=True, gc=False, tag=11):
    id: str
    time: Count
    symbol: str

    def __post_init__(self) -> None:
        if "\0" in self.id or "\0" in self.symbol:
            _refuse_nul()


class ResumeMarket(Struct, array_like=True, frozen=True, gc=False, tag=12):
    id: str
    time: Count
    symbol: str

    def __post_init__(self) -> None:
        if "\0" in self.id or "\0" in self.symbol:
            _refuse_nul()


class HaltAccount(Struct, array_like=True, frozen=True, gc=False, tag=13):
    id: str
    time: Count
    account: str

    def __post_init__(self) -> None:
        if "\0" in self.id or "\0" in self.account:
            _refuse_nul()


class ResumeAccount(Struct, array_like=True, frozen=True, gc=False, tag=14):
    id: str
    time: Count
    account: str

    def __post_init__(self) -> None:
        if "\0" in self.id or "\0" in self.account:
            _refuse_nul()


class OpenAccount(Struct, array_like=True, frozen=True, gc=False, tag=20):
    id: str
    time: Count
    account: str
    initial_balance: Scaled

    def __post_init__(self) -> None:
        if "\0" in self.id or "\0" in self.account:
            _refuse_nul()


class Deposit(Struct, array_like=True, frozen=True, gc=False, tag=21):
    id: str
    time: Count
    account: str
    amount: Positive

    def __post_init__(self) -> None:
        if "\0" in self.id or "\0" in self.account:
            _refuse_nul()


class Withdraw(Struct, array_like=True, frozen=True, gc=False, tag=22):
    id: str
    time: Count
    account: str
    amount: Positive

    def __post_init__(self) -> None:
        if "\0" in self.id or "\0" in self.account:
            _refuse_nul()


class CreateTrade(Struct, array_like=True, frozen=True, gc=False, tag=23):
    id: str
    time: Count
    account: str
    symbol: str
    side: TradeSide
    margin: Scaled
    leverage: int
    stop_loss: Scaled | None = None
    take_profit: Scaled | None = None
    trailing_stop: Scaled | None = None
    expected_price: Scaled | None = None
    max_slippage_bps: Bps | None = None

    def __post_init__(self) -> None:
        if "\0" in self.id or "\0" in self.account or "\0" in self.symbol:
            _refuse_nul()


class AmendTrade(Struct, array_like=True, frozen=True, gc=False, tag=24):
    """`sets` says which of the three levels the message names (`SETS_*`); the others do not change."""

    id: str
    time: Count
    account: str
    trade: str
    sets: Annotated[int, Meta(ge=0, le=7)] = 0
    stop_loss: Scaled | None = None
    take_profit: Scaled | None = None
    trailing_stop: Scaled | None = None

    def __post_init__(self) -> None:
        if "\0" in self.id or "\0" in self.account or "\0" in self.trade:
            _refuse_nul()


class CloseTrade(Struct, array_like=True, frozen=True, gc=False, tag=25):
    """`quantity` None closes the whole trade."""

    id: str
    time: Count
    account: str
    trade: str
    quantity: Scaled | None = None

    def __post_init__(self) -> None:
        if "\0" in self.id or "\0" in self.account or "\0" in self.trade:
            _refuse_nul()


class PlaceOrder(Struct, array_like=True, frozen=True, gc=False, tag=26):
    """`price` is required for limit, stop and take_profit, `distance` for trailing_stop."""

    id: str
    time: Count
    account: str
    symbol: str
    side: OrderSide
    order_type: OrderType
    quantity: Scaled
    price: Scaled | None = None
    distance: Scaled | None = None
    oco_with: str | None = None
    expected_price: Scaled | None = None
    max_slippage_bps: Bps | None = None

    def __post_init__(self) -> None:
        needed = {"market": None, "trailing_stop": "distance"}.get(self.order_type, "price")
        if needed is not None and getattr(self, needed) is None:
            raise ValueError(f"{needed}: required for a {self.order_type} order")
        if "\0" in self.id or "\0" in self.account or "\0" in self.symbol or "\0" in (self.oco_with or ""):
            _refuse_nul()


class CancelOrder(Struct, array_like=True, frozen=True, gc=False, tag=27):
    id: str
    time: Count
    account: str
    order: str

    def __post_init__(self) -> None:
        if "\0" in self.id or "\0" in self.account or "\0" in self.order:
            _refuse_nul()


AdminInstruction = ConfigureMarket | HaltMarket | ResumeMarket | HaltAccount | ResumeAccount
UserInstruction = (
    OpenAccount | Deposit | Withdraw | CreateTrade | AmendTrade | CloseTrade | PlaceOrder | CancelOrder
)
Inbound = PriceUpdate | AdminInstruction | UserInstruction

ADMIN_TYPES: Final = (ConfigureMarket, HaltMarket, ResumeMarket, HaltAccount, ResumeAccount)
USER_TYPES: Final = (
    OpenAccount,
    Deposit,
    Withdraw,
    CreateTrade,
    AmendTrade,
    CloseTrade,
    PlaceOrder,
    CancelOrder,
)

# The field `kind` of the JSON form, by struct. A price update has none.
KIND_BY_TYPE: Final[dict[type[Struct], str]] = {
    ConfigureMarket: "configure_market",
    HaltMarket: "halt_market",
    ResumeMarket: "resume_market",
    HaltAccount: "halt_account",
    ResumeAccount: "resume_account",
    OpenAccount: "open_account",
    Deposit: "deposit",
    Withdraw: "withdraw",
    CreateTrade: "create_trade",
    AmendTrade: "amend_trade",
    CloseTrade: "close_trade",
    PlaceOrder: "place_order",
    CancelOrder: "cancel_order",
}
