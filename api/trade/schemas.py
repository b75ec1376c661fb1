"""Bodies and responses of trading, with the engine's field names."""

from typing import Annotated, Any, ClassVar, Literal

from msgspec import UNSET, Struct, UnsetType

from api.http.fields import Bps, Decimal, Leverage, OutputId, Symbol, TimeUs, describe_field
from api.http.paging import PageQuery, Pagination
from paceline.core.money import parse_decimal
from paceline.messages import inbound
from paceline.messages.inbound import SETS_STOP_LOSS, SETS_TAKE_PROFIT, SETS_TRAILING_STOP
from paceline.ports.trading import ClosedOrderRow, RestingOrder
from paceline.usecases.trading.accounts import PricedTrade

Side = Annotated[Literal["long", "short"], describe_field("Direction.", "be long or short")]
OrderSide = Annotated[Literal["buy", "sell"], describe_field("Direction.", "be buy or sell")]
OrderType = Annotated[
    inbound.OrderType,
    describe_field(
        "Type of the order, which decides when it fills.",
        "be market, limit, stop, take_profit or trailing_stop",
    ),
]


class CreateTrade(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Open a leveraged trade with isolated margin at the market price."""

    symbol: Symbol
    side: Side
    margin: Decimal
    leverage: Leverage
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trailing_stop: Decimal | None = None
    expected_price: Decimal | None = None
    max_slippage_bps: Bps | None = None

    def message(self, id: str, time: int, account: str) -> inbound.CreateTrade:
        return inbound.CreateTrade(
            id=id,
            time=time,
            account=account,
            symbol=self.symbol,
            side=self.side,
            margin=parse_decimal(self.margin),
            leverage=self.leverage,
            stop_loss=_scaled(self.stop_loss),
            take_profit=_scaled(self.take_profit),
            trailing_stop=_scaled(self.trailing_stop),
            expected_price=_scaled(self.expected_price),
            max_slippage_bps=self.max_slippage_bps,
        )


class CloseTrade(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Close a trade, or `quantity` of it, at the market price."""

    trade: OutputId
    quantity: Decimal | None = None

    def message(self, id: str, time: int, account: str) -> inbound.CloseTrade:
        return inbound.CloseTrade(
            id=id, time=time, account=account, trade=self.trade, quantity=_scaled(self.quantity)
        )


class AmendTrade(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Set levels of an open trade, or remove them with null. A level that is absent stays."""

    trade: OutputId
    stop_loss: Decimal | UnsetType | None = UNSET
    take_profit: Decimal | UnsetType | None = UNSET
    trailing_stop: Decimal | UnsetType | None = UNSET

    schema_rules: ClassVar[dict[str, Any]] = {"minProperties": 2}

    def __post_init__(self) -> None:
        if self.stop_loss is self.take_profit is self.trailing_stop is UNSET:
            raise ValueError("stop_loss: is required if take_profit and trailing_stop are absent")

    def message(self, id: str, time: int, account: str) -> inbound.AmendTrade:
        levels = {
            SETS_STOP_LOSS: self.stop_loss,
            SETS_TAKE_PROFIT: self.take_profit,
            SETS_TRAILING_STOP: self.trailing_stop,
        }
        return inbound.AmendTrade(
            id=id,
            time=time,
            account=account,
            trade=self.trade,
            sets=sum(bit for bit, level in levels.items() if level is not UNSET),
            stop_loss=_scaled(self.stop_loss),
            take_profit=_scaled(self.take_profit),
            trailing_stop=_scaled(self.trailing_stop),
        )


def _order_rule(
    types: list[str], *, absent: list[str], needed: str | None = None, default: bool = False
) -> dict[str, Any]:
    """The rule of some order types: the field that they need, and those that must be absent or null."""
    properties: dict[str, Any] = {"order_type": {"enum": types}} | {name: {"type": "null"} for name in absent}
    required = [] if default else ["order_type"]
    if needed is not None:
        properties[needed] = {"type": "string"}
        required.append(needed)
    return {"properties": properties} | ({"required": required} if required else {})


class PlaceOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Buy or sell an asset. `price` belongs to limit, stop and take_profit, `distance` to trailing_stop."""

    symbol: Symbol
    side: OrderSide
    quantity: Decimal
    order_type: OrderType = "market"
    price: Decimal | None = None
    distance: Decimal | None = None
    oco_with: OutputId | None = None
    expected_price: Decimal | None = None
    max_slippage_bps: Bps | None = None

    schema_rules: ClassVar[dict[str, Any]] = {
        "oneOf": [
            _order_rule(["market"], absent=["price", "distance"], default=True),
            _order_rule(["limit", "stop", "take_profit"], needed="price", absent=["distance"]),
            _order_rule(["trailing_stop"], needed="distance", absent=["price"]),
        ]
    }

    def __post_init__(self) -> None:
        needed = {"market": None, "trailing_stop": "distance"}.get(self.order_type, "price")
        for name in ("price", "distance"):
            given = getattr(self, name) is not None
            if name == needed and not given:
                raise ValueError(f"{name}: is required for a {self.order_type} order")
            if name != needed and given:
                raise ValueError(f"{name}: is not allowed for a {self.order_type} order")

    def message(self, id: str, time: int, account: str) -> inbound.PlaceOrder:
        return inbound.PlaceOrder(
            id=id,
            time=time,
            account=account,
            symbol=self.symbol,
            side=self.side,
            order_type=self.order_type,
            quantity=parse_decimal(self.quantity),
            price=_scaled(self.price),
            distance=_scaled(self.distance),
            oco_with=self.oco_with,
            expected_price=_scaled(self.expected_price),
            max_slippage_bps=self.max_slippage_bps,
        )


class CancelOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Cancel a resting order."""

    order: OutputId

    def message(self, id: str, time: int, account: str) -> inbound.CancelOrder:
        return inbound.CancelOrder(id=id, time=time, account=account, order=self.order)


Body = CreateTrade | CloseTrade | AmendTrade | PlaceOrder | CancelOrder


class Positions(Struct, frozen=True):
    positions: list[PricedTrade]


class Orders(Struct, frozen=True):
    orders: list[RestingOrder]


class HistoryQuery(
    PageQuery,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"from_us": "from", "to_us": "to"},
):
    """`from` is inclusive, `to` is exclusive; both are closing times."""

    symbol: Symbol | None = None
    from_us: TimeUs | None = None
    to_us: TimeUs | None = None

    def __post_init__(self) -> None:
        if self.from_us is not None and self.to_us is not None and self.from_us >= self.to_us:
            raise ValueError("from: must be before to")


class History(Struct, frozen=True):
    items: list[ClosedOrderRow]
    pagination: Pagination


def _scaled(text: str | UnsetType | None) -> int | None:
    return parse_decimal(text) if isinstance(text, str) else None
