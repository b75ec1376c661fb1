import msgspec
import pytest

from paceline.messages.inbound import Deposit, PlaceOrder, PriceUpdate
from paceline.messages.log_form import (
    Undecodable,
    decode_effects,
    decode_messages,
    encode_effects,
    encode_messages,
)
from paceline.messages.outbound import BalanceUpdate, Effect, OrderResponse

PRICE = PriceUpdate("p1", 2, "BTC_USDC_PERP", 6898300000000, 2426000, 6898310000000, 6093000, 7, 2)
DEPOSIT = Deposit("i1", 3, "a1", 500000000)
ORDER = PlaceOrder("i2", 4, "a1", "BTC_USDC_PERP", "buy", "market", 100000)


def test_a_batch_reads_back() -> None:
    assert decode_messages(encode_messages([PRICE, DEPOSIT, ORDER])) == [PRICE, DEPOSIT, ORDER]
    assert decode_messages(encode_messages([])) == []


def test_an_undecodable_message_keeps_its_position_and_affects_no_other() -> None:
    value = msgspec.msgpack.encode([DEPOSIT, [21, "i", 1, "a", 0], "text", [99], PRICE])
    first, zero, text, unknown, last = decode_messages(value)
    assert (first, last) == (DEPOSIT, PRICE)
    assert isinstance(zero, Undecodable)
    assert ">= 1" in zero.reason
    assert isinstance(text, Undecodable)
    assert text.raw == msgspec.msgpack.encode("text")
    assert isinstance(unknown, Undecodable)


def test_a_limit_order_without_a_price_does_not_decode() -> None:
    (order,) = decode_messages(msgspec.msgpack.encode([[26, "i", 1, "a", "S", "buy", "limit", 5]]))
    assert isinstance(order, Undecodable)
    assert order.reason == "price: required for a limit order"


@pytest.mark.parametrize(
    "row",
    [
        [10, "i", 1, "S", "B", 1, 1, 1, 1, 1, 1, 1],
        [11, "i", 1, "S"],
        [12, "i", 1, "S"],
        [13, "i", 1, "a"],
        [14, "i", 1, "a"],
        [20, "i", 1, "a", 5],
        [21, "i", 1, "a", 5],
        [22, "i", 1, "a", 5],
        [23, "i", 1, "a", "S", "long", 5, 2],
        [24, "i", 1, "a", "0:1:0"],
        [25, "i", 1, "a", "0:1:0"],
        [26, "i", 1, "a", "S", "buy", "market", 5, None, None, "0:1:0"],
        [27, "i", 1, "a", "0:1:0"],
    ],
)
def test_text_with_nul_does_not_decode(row: list[object]) -> None:
    """JSONB cannot store NUL: the writer would fail on it forever."""
    (whole,) = decode_messages(msgspec.msgpack.encode([row]))
    assert not isinstance(whole, Undecodable)
    free = [
        n for n, value in enumerate(row) if isinstance(value, str) and value not in ("long", "buy", "market")
    ]
    for n in free:
        changed = [*row[:n], f"{row[n]}\0", *row[n + 1 :]]
        bad, good = decode_messages(msgspec.msgpack.encode([changed, row]))
        assert isinstance(bad, Undecodable), changed
        assert "NUL" in bad.reason
        assert good == whole


def test_an_invalid_batch_counts_as_one_undecodable_message() -> None:
    nested = b"\x91" * 2_000 + b"\xc0"
    torn = encode_messages([PRICE])[:-1]
    for value in (b"", b"\xc1", b"no batch", msgspec.msgpack.encode({"a": 1}), torn, nested):
        (message,) = decode_messages(value)
        assert isinstance(message, Undecodable)
        assert message.raw == value


def test_effects_read_back() -> None:
    response = OrderResponse(
        "0:1:0", 3, "i1", "a1", "accepted", None, None, None, None, None, None, None, False
    )
    balance = BalanceUpdate("0:1:1", 3, "a1", 500000000, 0, 0, {}, {})
    effects = [Effect(1, 3, DEPOSIT, [response, balance])]
    assert decode_effects(encode_effects(effects)) == effects


def test_tags_on_the_log_never_change() -> None:
    assert [msgspec.msgpack.decode(encode_messages([m]))[0][0] for m in (PRICE, DEPOSIT, ORDER)] == [
        1,
        21,
        26,
    ]
