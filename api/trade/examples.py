"""Examples for the documentation. A test checks them against the schemas."""

from typing import Final

from api.http.instruction_replies import NOT_FILLED, OPENED

CREATE: Final = {
    "symbol": "BTC_USDC_PERP",
    "side": "long",
    "margin": "100",
    "leverage": 10,
    "stop_loss": "68000",
    "take_profit": "70000",
}
CLOSE: Final = {"trade": "0:3:0", "quantity": "0.005"}
AMEND: Final = {"trade": "0:3:0", "stop_loss": "68500", "take_profit": None}
ORDER: Final = {"symbol": "BTC_USDC_PERP", "side": "buy", "order_type": "market", "quantity": "0.001"}
CANCEL: Final = {"order": "0:6:0"}

CLOSED: Final = OPENED | {"id": "0:6:0", "quantity": "0.005", "fee": "0.1724575", "liquidation": None}
AMENDED: Final = NOT_FILLED
FILLED: Final = OPENED | {
    "id": "0:7:0",
    "trade": None,
    "order": "0:7:0",
    "quantity": "0.001",
    "fee": "0.03449155",
    "liquidation": None,
}
CANCELLED: Final = NOT_FILLED | {"id": "0:7:0", "trade": None, "order": "0:6:0"}
POSITIONS: Final = {
    "positions": [
        {
            "trade": "0:3:0",
            "symbol": "BTC_USDC_PERP",
            "side": "long",
            "leverage": 10,
            "entry": "68983.1",
            "quantity": "0.01449",
            "margin": "100",
            "opened": 1757143198737843,
            "fee": "0.49978256",
            "stop_loss": "68000",
            "take_profit": "70000",
            "trailing_stop": None,
            "liquidation": "62426.70425121",
            "current_price": "69101.2",
            "unrealised_profit": "1.711269",
            "price_time": 1757143201237843,
        }
    ]
}
ORDERS: Final = {
    "orders": [
        {
            "order": "0:6:0",
            "symbol": "BTC_USDC_PERP",
            "side": "buy",
            "order_type": "limit",
            "quantity": "0.001",
            "opened": 1757143198737843,
            "price": "68000",
            "distance": None,
            "oco_with": None,
        }
    ]
}
HISTORY: Final = {
    "items": [
        {
            "id": "0:5:1",
            "trade": "0:3:0",
            "order": None,
            "symbol": "BTC_USDC_PERP",
            "side": "long",
            "quantity": "0.005",
            "entry": "68983.1",
            "exit": "68983",
            "profit": "-0.0005",
            "fee": "0.1724575",
            "margin": "34.50655624",
            "leverage": 10,
            "reason": "user",
            "code": None,
            "remaining": "0.00949",
            "opened": 1757143198737843,
            "closed": 1757143218737843,
        }
    ],
    "pagination": {"page": 1, "per_page": 20, "total": 1, "total_pages": 1},
}
