"""Frames of the exchange: which are decoded and which are refused."""

import json
from typing import Any

import pytest

from paceline.messages.inbound import PriceUpdate
from paceline.messages.log_form import decode_messages, encode_messages
from stream.feed.decoding import MAX_FRAME_BYTES, Acknowledgement, Refusal, decode
from tests.support.shared_data import shared_data

SYMBOL = "BTC_USDC_PERP"
SYMBOLS = frozenset({SYMBOL, "ETH_USDC_PERP"})
GOOD = {
    "A": "0.06093",
    "B": "0.02426",
    "E": 1771003771693848,
    "T": 1771003771690207,
    "a": "68983.1",
    "b": "68983.0",
    "e": "bookTicker",
    "s": SYMBOL,
    "u": 2442329321,
}


def framed(stream: Any = f"bookTicker.{SYMBOL}", without: str = "", **changes: Any) -> bytes:
    data = {**GOOD, **changes}
    data.pop(without, None)
    return json.dumps({"data": data, "stream": stream}).encode()


def test_a_valid_frame_becomes_a_price_update_without_a_time() -> None:
    assert decode(framed(), SYMBOLS) == PriceUpdate(
        id=f"p:{SYMBOL}:2442329321",
        time=0,
        symbol=SYMBOL,
        bid=6_898_300_000_000,
        bid_quantity=2_426_000,
        ask=6_898_310_000_000,
        ask_quantity=6_093_000,
        update_id=2442329321,
        venue_time_us=1771003771690207,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"u": "2442329321"},
        {"u": "2442329321", "E": "1771003771693848", "T": "1771003771690207"},
        {"extra": {"ignored": [1, 2, 3]}},
    ],
    ids=["id as text", "times as text", "a field we do not know"],
)
def test_alternative_forms_decode_to_the_same_update(changes: dict[str, Any]) -> None:
    assert decode(framed(**changes), SYMBOLS) == decode(framed(), SYMBOLS)


def test_the_event_time_is_used_without_an_engine_time() -> None:
    only_event = decode(framed(without="T"), SYMBOLS)
    neither = decode(framed(without="T", E=None), SYMBOLS)
    assert isinstance(only_event, PriceUpdate)
    assert isinstance(neither, PriceUpdate)
    assert only_event.venue_time_us == 1771003771693848
    assert neither.venue_time_us is None


@pytest.mark.parametrize(("bid", "ask"), [("0", "0"), ("2", "1"), ("1", "1"), ("0.00000001", "10000000000")])
def test_zero_and_crossed_prices_are_passed_on_to_the_engine(bid: str, ask: str) -> None:
    assert isinstance(decode(framed(b=bid, a=ask), SYMBOLS), PriceUpdate)


def test_the_largest_accepted_numbers_fit_on_the_log() -> None:
    update = decode(framed(b="9999999999.99999999", a="10000000000", u=2**63 - 1), SYMBOLS)
    assert isinstance(update, PriceUpdate)
    assert list(decode_messages(encode_messages([update]))) == [update]


def test_a_success_reply_is_no_refusal() -> None:
    assert decode(b'{"id":1,"result":null}', SYMBOLS) == Acknowledgement()
    assert decode(b'{"id":1,"error":null,"result":null}', SYMBOLS) == Acknowledgement()


BAD_FRAMES: list[tuple[str, bytes, str, str]] = [
    ("empty", b"", "not_json", "truncated"),
    ("blank", b"   ", "not_json", "truncated"),
    ("words", b"not json at all", "not_json", "invalid character"),
    ("binary", b"\x00\xff\xfe\x80", "not_json", "invalid character"),
    ("cut off", framed()[:-20], "not_json", "truncated"),
    ("two frames in one", framed() + framed(), "not_json", "trailing characters"),
    ("not utf-8", framed().replace(b"PERP", b"PER\xff"), "not_json", "utf-8"),
    ("NaN literal", framed().replace(b'"68983.0"', b"NaN"), "not_json", "invalid character"),
    ("braces without end", b"{" * 5_000, "not_json", "malformed"),
    ("brackets without end", b"[" * 5_000, "wrong_shape", "got `array`"),
    ("too long", framed(extra="x" * MAX_FRAME_BYTES), "too_long", f"the limit is {MAX_FRAME_BYTES}"),
    ("null", b"null", "wrong_shape", "got `null`"),
    ("an array", b"[1,2,3]", "wrong_shape", "got `array`"),
    ("a number", b"42", "wrong_shape", "got `int`"),
    ("a text", b'"bookTicker"', "wrong_shape", "got `str`"),
    ("an empty object", b"{}", "wrong_shape", "missing required field `stream`"),
    ("no data", b'{"stream":"bookTicker.BTC_USDC_PERP"}', "wrong_shape", "missing required field `data`"),
    ("data null", b'{"stream":"x","data":null}', "wrong_shape", "got `null` - at `$.data`"),
    ("data a text", b'{"stream":"x","data":"y"}', "wrong_shape", "got `str` - at `$.data`"),
    ("stream a number", framed(stream=7), "wrong_shape", "got `int` - at `$.stream`"),
    ("no symbol", framed(without="s"), "wrong_shape", "missing required field `s`"),
    ("no bid", framed(without="b"), "wrong_shape", "missing required field `b`"),
    ("no ask quantity", framed(without="A"), "wrong_shape", "missing required field `A`"),
    ("no update id", framed(without="u"), "wrong_shape", "missing required field `u`"),
    ("bid a number", framed(b=68983.0), "wrong_shape", "got `float` - at `$.data.b`"),
    ("bid null", framed(b=None), "wrong_shape", "got `null` - at `$.data.b`"),
    ("bid an object", framed(b={}), "wrong_shape", "got `object` - at `$.data.b`"),
    ("update id a fraction", framed(u=1.5), "wrong_shape", "got `float` - at `$.data.u`"),
    ("update id true", framed(u=True), "wrong_shape", "got `bool` - at `$.data.u`"),
    ("time an array", framed(T=[1]), "wrong_shape", "got `array` - at `$.data.T`"),
    (
        "an error reply",
        b'{"id":null,"error":{"code":4006,"message":"Invalid stream"}}',
        "exchange_error",
        "4006",
    ),
    ("another event", framed(e="trade"), "other_event", "'trade'"),
    ("unknown symbol", framed(s="DOGE_USDC_PERP"), "unknown_symbol", "'DOGE_USDC_PERP'"),
    ("symbol in lower case", framed(s=SYMBOL.lower()), "unknown_symbol", "is not a symbol of this feed"),
    ("symbol empty", framed(s=""), "unknown_symbol", "is not a symbol of this feed"),
    (
        "stream of another market",
        framed(stream="bookTicker.ETH_USDC_PERP"),
        "stream_mismatch",
        "ETH_USDC_PERP",
    ),
    ("stream of another kind", framed(stream=f"depth.{SYMBOL}"), "stream_mismatch", "depth."),
    ("bid negative", framed(b="-1"), "bad_number", "b: '-1'"),
    ("bid with an exponent", framed(b="6.9e4"), "bad_number", "b: '6.9e4'"),
    ("bid NaN", framed(b="NaN"), "bad_number", "b: 'NaN'"),
    ("ask infinite", framed(a="Infinity"), "bad_number", "a: 'Infinity'"),
    ("ask empty", framed(a=""), "bad_number", "a: ''"),
    ("ask with a space", framed(a=" 1"), "bad_number", "a: ' 1'"),
    ("ask with nine decimals", framed(a="1.123456789"), "bad_number", "at most 8 decimals"),
    ("ask with a comma", framed(a="68,983.1"), "bad_number", "a: '68,983.1'"),
    ("ask without a whole part", framed(a=".5"), "bad_number", "a: '.5'"),
    ("ask in other digits", framed(a="٣.٥"), "bad_number", "a: '٣.٥'"),
    ("ask beyond range", framed(a="10000000001"), "bad_number", "out of range"),
    ("ask of 5,000 digits", framed(a="9" * 5_000), "bad_number", "a: "),
    ("bid quantity negative", framed(B="-0.1"), "bad_number", "B: '-0.1'"),
    ("ask quantity a word", framed(A="lots"), "bad_number", "A: 'lots'"),
    ("update id negative", framed(u=-1), "bad_number", "u: -1 is out of range"),
    ("update id beyond 63 bits", framed(u=2**63), "bad_number", "u: 9223372036854775808"),
    ("update id beyond 64 bits", framed(u=2**70), "bad_number", "u: 1180591620717411303424"),
    ("update id a word", framed(u="one"), "bad_number", "u: 'one'"),
    ("update id signed text", framed(u="-7"), "bad_number", "u: '-7'"),
    ("update id of 20 digits as text", framed(u="1" * 20), "bad_number", "not a whole number"),
    ("time negative", framed(T=-5), "bad_number", "T: -5"),
    ("event time a date", framed(E="2024-08-08"), "bad_number", "E: '2024-08-08'"),
]


@pytest.mark.parametrize(
    ("frame", "code", "says"), [case[1:] for case in BAD_FRAMES], ids=[case[0] for case in BAD_FRAMES]
)
def test_a_malformed_frame_is_refused_with_its_reason(frame: bytes, code: str, says: str) -> None:
    refusal = decode(frame, SYMBOLS)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code
    assert says in refusal.detail
    assert len(refusal.detail) < 500
    assert "\x00" not in refusal.detail  # Postgres text cannot hold NUL


def test_recorded_frames_of_the_exchange_are_decoded() -> None:
    lines = shared_data("backpack", "frames.jsonl").read_bytes().splitlines()
    found = [decode(line, frozenset({"WIF_USDC", "SOL_USDC", "BTC_USDC"})) for line in lines]
    assert [type(item) for item in found] == [PriceUpdate] * 4 + [Refusal] * 2
