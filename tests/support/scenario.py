"""Drives an engine in tests with short calls: one market, prices, instructions; outputs as JSON.

    driver = EngineDriver()
    driver.open("a", "1000")
    driver.price("100", "101")
    response, balance = driver.send("create_trade", account="a", side="long", margin="10", leverage=10)

Decimals are strings and outputs are the JSON objects of `paceline.messages.json_form`. After every message
the ledger is checked.
"""

from typing import Any

from paceline.engine import Engine
from paceline.engine.records import Account, Trade
from paceline.messages.inbound import Inbound
from paceline.messages.json_form import from_json, output_to_json

Json = dict[str, Any]

ADMIN = ("configure_market", "halt_market", "resume_market", "halt_account", "resume_account")
SYMBOL = "BTC_USD"
CONFIG: Json = {
    "symbol": SYMBOL,
    "base": "BTC",
    "quantity_step": "0.001",
    "min_notional": "5",
    "max_leverage": 100,
    "maker_rate_bps": 2,
    "taker_rate_bps": 5,
    "maintenance_rate_bps": 50,
    "max_price_age_us": 5_000_000,
}
_WITH_SYMBOL = ("create_trade", "place_order", "halt_market", "resume_market")


class EngineDriver:
    """An engine with one configured market."""

    def __init__(self, **config: Any) -> None:
        self.engine = Engine()
        self.messages: list[Inbound] = []
        self.now_us = 1_000_000
        self.update_id = 0
        self.send("configure_market", **(CONFIG | config))

    def apply(self, data: Json) -> list[Json]:
        message = from_json(data)
        self.messages.append(message)
        outputs = self.engine.apply(message)
        self.engine.check_ledger()
        return [output_to_json(output) for output in outputs]

    def send(self, kind: str, **fields: Any) -> list[Json]:
        """Apply an instruction of a user or operator; `id`, `time` and `symbol` have defaults."""
        self.now_us += 1_000
        head: Json = {"id": f"i{self.engine.position}", "time": self.now_us, "kind": kind}
        head["type"] = "admin_instruction" if kind in ADMIN else "user_instruction"
        if kind in _WITH_SYMBOL:
            head["symbol"] = SYMBOL
        return self.apply(head | fields)

    def price(self, bid: str, ask: str, symbol: str = SYMBOL, **fields: Any) -> list[Json]:
        self.now_us += 1_000
        self.update_id += 1
        data = {
            "type": "price_update",
            "id": f"p{self.engine.position}",
            "time": self.now_us,
            "symbol": symbol,
            "bid": bid,
            "bid_quantity": "1",
            "ask": ask,
            "ask_quantity": "1",
            "update_id": self.update_id,
        }
        return self.apply(data | fields)

    def open(self, account: str = "a", balance: str = "1000") -> None:
        self.send("open_account", account=account, initial_balance=balance)

    def trade(self, account: str = "a", **fields: Any) -> str:
        """Open a trade, assert that it is accepted, and return its id."""
        asked = {"account": account, "side": "long", "margin": "10", "leverage": 10} | fields
        response = self.send("create_trade", **asked)[0]
        assert response["status"] == "accepted", response
        return str(response["trade"])

    def order(self, account: str = "a", **fields: Any) -> str:
        """Place an order, assert that it is accepted, and return its id."""
        asked = {"account": account, "side": "buy", "order_type": "limit", "quantity": "0.1"} | fields
        response = self.send("place_order", **asked)[0]
        assert response["status"] == "accepted", response
        return str(response["order"])


def ready_driver(balance: str = "1000", bid: str = "100", ask: str = "101", **config: Any) -> EngineDriver:
    """A driver whose market has a price, with an account `a`."""
    driver = EngineDriver(**config)
    driver.price(bid, ask)
    driver.open("a", balance)
    return driver


def fields_of(record: Account | Trade | None) -> tuple[Any, ...]:
    """The current fields of an account or trade, to be compared with later ones."""
    assert record is not None
    return record.fields()


def refusal_code(outputs: list[Json]) -> str | None:
    """The refusal code of the response, or None. A refusal must be the only output."""
    response = outputs[0]
    assert response["type"] == "order_response"
    if response["status"] == "rejected":
        assert len(outputs) == 1
        assert response["trade"] is None
        assert response["order"] is None
    found = response["code"]
    return None if found is None else str(found)


def of_type(outputs: list[Json], type_: str) -> list[Json]:
    return [output for output in outputs if output["type"] == type_]


def endings(outputs: list[Json]) -> list[tuple[str, str]]:
    """`(id of the trade or order, reason)` of each closed order, in order."""
    return [
        (str(output["trade"] or output["order"]), str(output["reason"]))
        for output in of_type(outputs, "closed_order")
    ]
