"""Bodies and responses of the operator routes, with the engine's field names."""

from typing import Annotated, Any, Final

from msgspec import Struct

from api.http.fields import Bps, Decimal, Leverage, PositiveDecimal, Symbol, describe_field
from api.http.paging import Pagination
from paceline.core.money import parse_decimal
from paceline.messages import inbound
from paceline.ports.operations import OperatorAccount, OperatorMarket

Asset = Annotated[
    str,
    describe_field(
        "Asset whose balance the market moves, such as BTC. Fixed once the market is known.",
        "be 1 to 16 of A-Z and 0-9, and not USD, the currency of balances",
        pattern=r"^(?!USD$)[A-Z0-9]{1,16}$",
    ),
]
PriceAgeUs = Annotated[
    int,
    describe_field(
        "Age in microseconds at which a price is too old for trading.",
        "be a whole number of microseconds between 1000 and 86400000000",
        ge=1_000,
        le=86_400_000_000,
    ),
]


class ConfigureMarket(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new market or a new configuration. All fields take effect at once, for open trades too."""

    symbol: Symbol
    base: Asset
    quantity_step: PositiveDecimal
    min_notional: Decimal
    max_leverage: Leverage
    maker_rate_bps: Bps
    taker_rate_bps: Bps
    maintenance_rate_bps: Bps
    max_price_age_us: PriceAgeUs

    def message(self, id: str, time: int) -> inbound.ConfigureMarket:
        return inbound.ConfigureMarket(
            id=id,
            time=time,
            symbol=self.symbol,
            base=self.base,
            quantity_step=parse_decimal(self.quantity_step),
            min_notional=parse_decimal(self.min_notional),
            max_leverage=self.max_leverage,
            maker_rate_bps=self.maker_rate_bps,
            taker_rate_bps=self.taker_rate_bps,
            maintenance_rate_bps=self.maintenance_rate_bps,
            max_price_age_us=self.max_price_age_us,
        )


class Transfer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """USD to deposit or withdraw."""

    amount: PositiveDecimal

    @property
    def scaled(self) -> int:
        return parse_decimal(self.amount)


class Markets(Struct, frozen=True):
    markets: list[OperatorMarket]


class Accounts(Struct, frozen=True):
    items: list[OperatorAccount]
    pagination: Pagination


CONFIGURE_EXAMPLE: Final[dict[str, Any]] = {
    "symbol": "BTC_USDC_PERP",
    "base": "BTC",
    "quantity_step": "0.00001",
    "min_notional": "5",
    "max_leverage": 100,
    "maker_rate_bps": 2,
    "taker_rate_bps": 5,
    "maintenance_rate_bps": 50,
    "max_price_age_us": 5_000_000,
}
MARKETS_EXAMPLE: Final = {
    "markets": [CONFIGURE_EXAMPLE | {"halted": False, "shards": [0, 1, 2, 3], "halted_shards": []}]
}
ACCOUNT_EXAMPLE: Final[dict[str, Any]] = {
    "account": "3f1c0a9be2d4477c8a10",
    "shard": 2,
    "opened": 1757143198737843,
    "halted": False,
    "cash": "4899.50021744",
    "margin": "100",
    "locked": "0",
    "open_trades": 1,
    "email": "ada@example.com",
    "display_name": "ada",
    "role": "member",
}
ACCOUNTS_EXAMPLE: Final = {
    "items": [ACCOUNT_EXAMPLE],
    "pagination": {"page": 1, "per_page": 20, "total": 1, "total_pages": 1},
}
DONE_EXAMPLE: Final[dict[str, Any]] = {
    "instruction": "operator-3f1c0a9be2d4477c8a10-5b7a9c",
    "status": "done",
    "shards": [0, 1, 2, 3],
}
TRANSFER_EXAMPLE: Final = {"amount": "250"}
