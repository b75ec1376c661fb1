"""Parts of the sandbox exchange without a socket: commands, walks, recordings, update ids and faults."""

import asyncio
import gzip
import json
import math
import statistics
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from paceline.messages.inbound import PriceUpdate
from sandbox.exchange import state as memory
from sandbox.exchange.clients import framed
from sandbox.exchange.faults import GARBAGE_FRAMES, FaultRequest, Faults, parse_fault_request
from sandbox.exchange.player import play_walks
from sandbox.exchange.protocol import ProtocolError, Quote, Subscription, frame, parse_command
from sandbox.exchange.recordings import market_of, read, symbols_in
from sandbox.exchange.server import Exchange, Options
from sandbox.exchange.walk import MARKETS, Walk
from stream.feed.decoding import Refusal, decode
from tests.support.waiting import until

FIXTURES = Path(__file__).parents[2] / "fixtures" / "feed"
KNOWN = frozenset(market.symbol for market in MARKETS)
QUOTE = Quote("BTC_USDC_PERP", "100.1", "2", "100.2", "3")


def test_a_subscription_names_markets() -> None:
    text = '{"method":"SUBSCRIBE","params":["bookTicker.BTC_USDC_PERP","bookTicker.ADA_USDC_PERP"]}'
    assert parse_command(text, KNOWN) == Subscription("SUBSCRIBE", ("BTC_USDC_PERP", "ADA_USDC_PERP"))


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("what", 4000, "Invalid request"),
        ("[]", 4000, "got `array`"),
        ('{"method":"SUBSCRIBE"}', 4000, "missing required field `params`"),
        ('{"method":"SUBSCRIBE","params":"bookTicker.BTC_USDC_PERP"}', 4000, "got `str`"),
        ('{"method":"LIST","params":[]}', 4001, "Invalid method"),
        ('{"method":"SUBSCRIBE","params":["bookTicker.DOGE"]}', 4006, "Invalid stream"),
        ('{"method":"SUBSCRIBE","params":["depth.BTC_USDC_PERP"]}', 4006, "Invalid stream"),
        (json.dumps({"method": "SUBSCRIBE", "params": ["x"] * 300}), 4000, "Too many streams"),
    ],
)
def test_an_invalid_command_gets_an_error_reply(text: str, code: int, says: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_command(text, KNOWN)
    reply = json.loads(caught.value.reply)
    assert reply["id"] is None
    assert reply["error"]["code"] == code
    assert says in reply["error"]["message"]


def test_frames_can_be_decoded_by_the_feed() -> None:
    plain = decode(frame(QUOTE, 7, 99).encode(), KNOWN)
    text_id = decode(frame(QUOTE, 7, 99, string_id=True).encode(), KNOWN)
    assert isinstance(plain, PriceUpdate)
    assert plain == text_id
    assert (plain.bid, plain.ask, plain.update_id, plain.venue_time_us) == (
        10_010_000_000,
        10_020_000_000,
        7,
        99,
    )


def test_a_market_name_is_escaped_in_frames() -> None:
    name = 'A"\\Ä'
    sent = json.loads(frame(Quote(name, "1.5", "2", "1.6", "3"), 7, 99))
    assert sent == {
        "data": {
            "A": "3",
            "B": "2",
            "E": 99,
            "T": 99,
            "a": "1.6",
            "b": "1.5",
            "e": "bookTicker",
            "s": name,
            "u": 7,
        },
        "stream": f"bookTicker.{name}",
    }


def test_messages_are_framed_as_in_the_rfc() -> None:
    """RFC 6455, 5.7: "Hello" as text, 256 bytes as binary; and lengths around the limit of the short form."""
    assert framed("Hello") == b"\x81\x05Hello"
    assert framed(bytes(256)) == b"\x82\x7e\x01\x00" + bytes(256)
    assert framed("") == b"\x81\x00"
    assert framed("é" * 62 + "x")[:2] == b"\x81\x7d"
    assert framed("é" * 63)[:4] == b"\x81\x7e\x00\x7e"


def test_a_walk_is_determined_by_its_seed_and_is_never_crossed() -> None:
    for market in MARKETS:
        steps = [Walk(market, seed, None) for seed in (3, 3, 4)]
        first, again, other = ([walk.step(0.2) for _ in range(500)] for walk in steps)
        assert first == again
        assert first != other
        for quote in first:
            update = decode(frame(quote, 1, 1).encode(), KNOWN)
            assert isinstance(update, PriceUpdate)
            assert 0 < update.bid < update.ask
        assert abs(steps[0].price / market.start_price - 1) < 0.2


def test_a_walk_has_its_volatility_at_any_step_rate() -> None:
    """2.5 basis points per second, plus a little for the trends."""
    for steps_a_second in (1, 50):
        walk, levels = Walk(MARKETS[0], 11), []
        for _ in range(4_000):
            levels.append(math.log(walk.price))
            for _ in range(steps_a_second):
                walk.step(1 / steps_a_second)
        moves = [after - before for before, after in pairwise(levels)]
        assert statistics.stdev(moves) == pytest.approx(2.57e-4, rel=0.05)


def test_quotes_have_the_decimals_of_their_market_and_a_notional_in_range() -> None:
    for market in MARKETS:
        walk = Walk(market, 5)
        for quote in [walk.step(0.1) for _ in range(300)]:
            for price, quantity in ((quote.bid, quote.bid_quantity), (quote.ask, quote.ask_quantity)):
                assert [len(text.partition(".")[2]) for text in (price, quantity)] == list(market[2:])
                assert 990 < float(price) * float(quantity) < 50_100
            spread = (float(quote.ask) - float(quote.bid)) * 10**market.price_digits
            assert round(spread) in (1, 2, 3)


async def test_walks_alternate_at_their_rate_until_the_callback_raises() -> None:
    played: list[Quote] = []

    def publish(quotes: Sequence[Quote]) -> None:
        played.extend(quotes)
        if len(played) > 40:
            raise OverflowError

    loop = asyncio.get_running_loop()
    start_s = loop.time()
    with pytest.raises(OverflowError):
        await play_walks({market.symbol: Walk(market, 7) for market in MARKETS}, 400, publish)
    assert loop.time() - start_s >= 0.099  # the first of 41 is due at once
    symbols = [market.symbol for market in MARKETS]
    assert [quote.symbol for quote in played[:40]] == symbols * 10


async def test_a_cancelled_player_stops() -> None:
    played: list[Quote] = []
    player = asyncio.create_task(play_walks({"ADA_USDC_PERP": Walk(MARKETS[3], 7)}, 1_000, played.extend))
    await until(lambda: len(played) > 2)
    player.cancel()
    await asyncio.wait([player])
    before = len(played)
    await asyncio.sleep(0.02)
    assert len(played) == before


def test_a_walk_continues_from_a_stored_price() -> None:
    walk = Walk(MARKETS[0], 7, 50_000.0)
    assert float(walk.step(0.1).bid) == pytest.approx(50_000, rel=0.01)


def test_update_ids_increase_over_restarts_even_if_the_clock_goes_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "memory.json"
    first = memory.load(path)
    now_us = 1_771_003_771_690_207
    ids = [first.next_update_id(now_us + n // 3 - n // 500 * 9) for n in range(1_000)]
    assert ids[0] == now_us
    assert ids == sorted(set(ids))
    ahead = memory.Memory(last_update_id=ids[-1] + 10**12, prices={"BTC_USDC_PERP": 5.5})
    memory.save(path, ahead)
    restarted = memory.load(path)
    assert restarted.prices == {"BTC_USDC_PERP": 5.5}
    assert restarted.next_update_id(now_us) == ids[-1] + 10**12 + 1


def test_an_unreadable_memory_file_gives_a_new_memory(tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    path.write_text('{"last_update_id": "many"}')
    assert memory.load(path) == memory.Memory()


def test_recordings_give_quotes_of_both_venues_and_skip_the_rest() -> None:
    binance = list(read(FIXTURES / "binance.jsonl", {}))
    assert [item.quote.symbol for item in binance] == ["BTC_USDC_PERP", "BTC_USDC_PERP", "ETH_USDC_PERP"]
    assert binance[0].at_us == 1_723_161_255_088_169
    assert binance[0].quote == Quote("BTC_USDC_PERP", "61800.2", "2.507", "61800.3", "2.51")
    backpack = list(read(FIXTURES / "backpack.jsonl", {"SOL_USDC": "SOL_USDC_PERP"}))
    assert [(item.at_us, item.quote.symbol) for item in backpack] == [
        (1_736_172_777_506_225, "SOL_USDC_PERP"),
        (1_736_172_777_756_225, "SOL_USDC_PERP"),
    ]


def test_recordings_may_be_gzipped(tmp_path: Path) -> None:
    packed = tmp_path / "frames.gz"
    packed.write_bytes(gzip.compress((FIXTURES / "binance.jsonl").read_bytes()))
    assert list(read(packed, {})) == list(read(FIXTURES / "binance.jsonl", {}))


def test_symbols_are_renamed_by_option_or_by_rule() -> None:
    assert market_of("BTCUSDT", {}) == "BTC_USDC_PERP"
    assert market_of("SOL_USDC", {}) == "SOL_USDC_PERP"
    assert market_of("SOL_USDC_PERP", {}) == "SOL_USDC_PERP"
    assert market_of("BTCUSDT", {"BTCUSDT": "X"}) == "X"


def test_a_file_without_frames_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("nothing here\n")
    with pytest.raises(ValueError, match=r"notes\.txt: has no bookTicker frame"):
        symbols_in(path, {})


def test_two_recordings_of_one_market_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_bytes((FIXTURES / "binance.jsonl").read_bytes())
    with pytest.raises(ValueError, match="both have BTC_USDC_PERP, ETH_USDC_PERP"):
        Exchange(Options(feeds=(FIXTURES / "binance.jsonl", other)))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "what: must be one of"),
        ({"what": "sulk"}, "'sulk'"),
        ({"what": "garbage", "count": "some"}, "count: must be an integer"),
        ({"what": "garbage", "count": "0"}, "between 1 and"),
        ({"what": "garbage", "count": "-3"}, "between 1 and"),
        ({"what": "stall", "seconds": "soon"}, "seconds: must be a number"),
        ({"what": "stall", "seconds": "0"}, "above 0"),
        ({"what": "stall", "seconds": "nan"}, "above 0"),
        ({"what": "stall", "seconds": "99999"}, "at most"),
        ({"what": "garbage", "color": "red"}, "unknown field 'color'"),
    ],
)
def test_an_invalid_fault_request_is_refused_with_the_reason(fields: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("(", r"\(")):
        parse_fault_request(fields)


def test_faults_are_added_to_the_good_frame_as_often_as_requested() -> None:
    faults = Faults()
    for what in ("garbage", "duplicates", "old_ids", "string_ids"):
        faults.add(FaultRequest(what, count=2), now_s=0)
    rounds = [faults.frames(QUOTE, 2_000_000_000 + n, 1) for n in range(3)]
    assert [len(sent) for sent in rounds] == [4, 4, 1]
    good, twin, old, garbage = rounds[0]
    assert json.loads(good)["data"]["u"] == "2000000000"
    assert twin == good
    assert json.loads(old)["data"]["u"] == 1_000_000_000
    assert garbage in GARBAGE_FRAMES
    assert json.loads(rounds[2][0])["data"]["u"] == 2_000_000_002
    assert faults.remaining == {}


def test_a_stall_ends() -> None:
    faults = Faults()
    faults.add(FaultRequest("stall", seconds=2), now_s=100)
    assert faults.is_stalled(101.9)
    assert not faults.is_stalled(102.1)


def test_every_kind_of_garbage_is_refused_by_the_feed() -> None:
    for item in GARBAGE_FRAMES:
        raw = item.encode() if isinstance(item, str) else item
        assert isinstance(decode(raw, KNOWN), Refusal), item
