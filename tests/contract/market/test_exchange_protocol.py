"""The feed's link against the sandbox exchange over a real WebSocket: both must speak the same protocol."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse

from paceline.messages.inbound import PriceUpdate
from sandbox.exchange import clients, server
from sandbox.exchange.server import Exchange, Options
from stream.feed import exchange as links
from stream.feed.decoding import Refusal, decode
from stream.feed.exchange import ExchangeConnection
from stream.feed.stats import FeedStats
from tests.support.waiting import until

SYMBOLS = ("BTC_USDC_PERP", "ETH_USDC_PERP", "SOL_USDC_PERP", "ADA_USDC_PERP")
RECORDING = Path(__file__).parents[2] / "fixtures" / "feed" / "binance.jsonl"
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SUBSCRIBE = json.dumps({"method": "SUBSCRIBE", "params": [f"bookTicker.{symbol}" for symbol in SYMBOLS]})


class Listener:
    """A link that decodes each frame as the feed does and keeps the results."""

    def __init__(self, url: str, silence_s: float = 5.0, known: frozenset[str] = frozenset(SYMBOLS)) -> None:
        self._known = known
        self.stats = FeedStats()
        self.prices: list[PriceUpdate] = []
        self.refusals: list[Refusal] = []
        self._link = ExchangeConnection(url, SYMBOLS, silence_s, self._take, self.stats)

    def _take(self, frame: bytes) -> bool:
        found = decode(frame, self._known)
        if isinstance(found, PriceUpdate):
            self.prices.append(found)
        elif isinstance(found, Refusal):
            self.refusals.append(found)
        return isinstance(found, PriceUpdate)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Listener"]:
        task = asyncio.create_task(self._link.run())
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[ClientWebSocketResponse]:
    async with ClientSession() as session, session.ws_connect(url) as client:
        yield client


async def wait_for_clients(exchange: Exchange, number: int) -> None:
    health = f"{exchange.url.replace('ws://', 'http://')}/health"
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(500):
            if (await client.get(health)).json()["clients"] == number:
                return
            await asyncio.sleep(0.02)
    pytest.fail(f"the exchange never had {number} clients")


async def misbehave(exchange: Exchange, **order: object) -> None:
    url = f"{exchange.url.replace('ws://', 'http://')}/misbehave"
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(url, params={name: str(value) for name, value in order.items()})
    assert answer.status_code == 200, answer.text


@pytest.fixture(autouse=True)
def short_reconnect_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "FIRST_PAUSE_S", 0.02)


async def test_a_subscription_delivers_every_market_with_increasing_ids() -> None:
    async with Exchange(Options(rate_hz=400)) as exchange, Listener(exchange.url).listening() as listener:
        await until(lambda: len(listener.prices) > 100)
    assert {price.symbol for price in listener.prices} == set(SYMBOLS)
    ids = [price.update_id for price in listener.prices]
    assert ids == sorted(set(ids))
    assert listener.refusals == []


async def test_unsubscribing_stops_prices_of_that_market_only() -> None:
    async with Exchange(Options(rate_hz=400)) as exchange, connect(exchange.url) as client:
        await client.send_str(SUBSCRIBE)
        await client.send_str('{"method":"UNSUBSCRIBE","params":["bookTicker.BTC_USDC_PERP"]}')
        for _ in range(40):  # frames sent before the second request arrived
            await client.receive_str()
        seen = {(await client.receive_json())["data"]["s"] for _ in range(100)}
    assert seen == set(SYMBOLS) - {"BTC_USDC_PERP"}


async def test_an_unknown_stream_gets_an_error_and_the_connection_stays_open() -> None:
    async with Exchange(Options(rate_hz=400)) as exchange, connect(exchange.url) as client:
        await client.send_str('{"method":"SUBSCRIBE","params":["bookTicker.DOGE"]}')
        assert (await client.receive_json())["error"]["code"] == 4006
        await client.send_str(SUBSCRIBE)
        assert (await client.receive_json())["stream"].startswith("bookTicker.")


async def test_a_client_that_answers_no_ping_is_disconnected() -> None:
    async with Exchange(Options(ping_interval_s=0.1, silence_s=0.3)) as exchange:
        reader, writer = await asyncio.open_connection("127.0.0.1", exchange.port)
        writer.write(HANDSHAKE)
        assert b"101" in await reader.readuntil(b"\r\n\r\n")
        received = await asyncio.wait_for(reader.read(), 3)
        assert received[0] == 0x89  # a ping
        assert 0x88 in received  # then a close frame
        writer.close()


async def test_a_client_that_answers_pings_stays_connected() -> None:
    async with (
        Exchange(Options(rate_hz=50, ping_interval_s=0.05, silence_s=0.15)) as exchange,
        Listener(exchange.url).listening() as listener,
    ):
        await asyncio.sleep(0.8)
        assert listener.stats.connected
    assert listener.stats.reconnects == 0


async def test_the_link_reconnects_after_each_disconnect_and_ids_keep_increasing() -> None:
    async with Exchange(Options(rate_hz=400)) as exchange, Listener(exchange.url).listening() as listener:
        await until(lambda: len(listener.prices) > 20)
        await misbehave(exchange, what="disconnect", count=3)
        await until(lambda: listener.stats.reconnects == 3)
        before = len(listener.prices)
        await until(lambda: len(listener.prices) > before + 20)
    ids = [price.update_id for price in listener.prices]
    assert ids == sorted(set(ids))


async def test_the_link_reconnects_after_an_exchange_restart_and_ids_keep_increasing(tmp_path: Path) -> None:
    memory = tmp_path / "memory.json"
    async with Exchange(Options(rate_hz=400, memory_path=memory)) as exchange:
        port = exchange.port
        async with Listener(exchange.url).listening() as listener:
            await until(lambda: len(listener.prices) > 20)
            await exchange.__aexit__()
            before = len(listener.prices)
            async with Exchange(
                Options(port=port, rate_hz=400, memory_path=memory, feeds=(RECORDING,), speed=0)
            ):
                await until(lambda: len(listener.prices) > before + 50)
    ids = [price.update_id for price in listener.prices]
    assert ids == sorted(set(ids))


async def test_silence_leads_to_a_new_connection() -> None:
    async with (
        Exchange(Options(rate_hz=400)) as exchange,
        Listener(exchange.url, silence_s=0.3).listening() as listener,
    ):
        await until(lambda: len(listener.prices) > 20)
        await misbehave(exchange, what="stall", seconds=0.8)
        await until(lambda: listener.stats.silences >= 1)
        before = len(listener.prices)
        await until(lambda: len(listener.prices) > before + 20)


async def test_malformed_frames_are_refused_without_a_reconnect() -> None:
    async with Exchange(Options(rate_hz=400)) as exchange, Listener(exchange.url).listening() as listener:
        await until(lambda: len(listener.prices) > 5)
        await misbehave(exchange, what="garbage", count=24)
        await until(lambda: len(listener.refusals) == 24)
        before = len(listener.prices)
        await until(lambda: len(listener.prices) > before + 20)
        assert listener.stats.reconnects == 0
    assert {refusal.code for refusal in listener.refusals} >= {"not_json", "wrong_shape", "bad_number"}


async def test_frames_of_unknown_symbols_count_as_silence() -> None:
    async with (
        Exchange(Options(rate_hz=200)) as exchange,
        Listener(exchange.url, silence_s=0.3, known=frozenset({"DOGE"})).listening() as listener,
    ):
        await until(lambda: listener.stats.silences >= 1)
    assert len(listener.refusals) > 10


async def test_duplicates_old_ids_and_text_ids_are_passed_on_to_the_engine() -> None:
    async with Exchange(Options(rate_hz=400)) as exchange, Listener(exchange.url).listening() as listener:
        await until(lambda: len(listener.prices) > 5)
        for what in ("duplicates", "old_ids", "string_ids"):
            await misbehave(exchange, what=what, count=5)
        start = len(listener.prices)
        await until(lambda: len(listener.prices) > start + 40)
    assert listener.refusals == []
    ids = [price.update_id for price in listener.prices]
    falling = sum(later <= earlier for earlier, later in pairwise(ids))
    assert falling == 10  # five duplicates and five old ids; text ids count as integers


async def test_a_recording_loops_at_full_speed_while_other_markets_are_generated() -> None:
    options = Options(rate_hz=100, feeds=(RECORDING,), speed=0)
    async with Exchange(options) as exchange, Listener(exchange.url).listening() as listener:
        await until(lambda: {price.symbol for price in listener.prices} == set(SYMBOLS), 10)
        await until(lambda: sum(price.symbol == "BTC_USDC_PERP" for price in listener.prices) > 20)
    recorded = {price.bid for price in listener.prices if price.symbol == "BTC_USDC_PERP"}
    assert recorded == {6_180_020_000_000, 6_179_990_000_000}
    ids = [price.update_id for price in listener.prices]
    assert ids == sorted(set(ids))


async def test_a_recording_is_played_at_the_given_speed() -> None:
    """80 ms of recording at a tenth of its speed: about 1.25 loops a second, three quotes each."""
    options = Options(rate_hz=1, feeds=(RECORDING,), speed=0.1)
    async with Exchange(options) as exchange, Listener(exchange.url).listening() as listener:
        await asyncio.sleep(1.5)
    recorded = [price for price in listener.prices if price.symbol in ("BTC_USDC_PERP", "ETH_USDC_PERP")]
    assert 2 <= len(recorded) <= 7


async def test_health_and_fault_requests_over_plain_http() -> None:
    async with Exchange(Options()) as exchange, httpx.AsyncClient(trust_env=False) as client:
        base = exchange.url.replace("ws://", "http://")
        assert (await client.get(f"{base}/health")).json()["symbols"] == sorted(SYMBOLS)
        assert (await client.get(f"{base}/misbehave?what=garbage")).status_code == 405
        wrong = await client.post(f"{base}/misbehave?what=sulk")
        assert wrong.status_code == 400
        assert "must be one of" in wrong.json()["error"]


async def test_a_client_that_disconnects_is_removed() -> None:
    async with Exchange(Options(rate_hz=400)) as exchange:
        async with connect(exchange.url) as client:
            await client.send_str(SUBSCRIBE)
            await client.receive_str()
        await wait_for_clients(exchange, 0)


async def test_a_client_that_does_not_read_is_disconnected_and_others_are_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clients, "MAX_UNSENT", 64 << 10)
    async with Exchange(Options(rate_hz=10_000)) as exchange, Listener(exchange.url).listening() as listener:
        await until(lambda: len(listener.prices) > 0)
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", exchange.port))
            deaf.sendall(HANDSHAKE + b"\x81\xfe" + struct.pack("!HI", len(SUBSCRIBE), 0) + SUBSCRIBE.encode())
            await wait_for_clients(exchange, 2)
            await wait_for_clients(exchange, 1)
        before = len(listener.prices)
        await until(lambda: len(listener.prices) > before + 20)
        assert listener.stats.reconnects == 0


async def test_a_client_beyond_the_limit_gets_close_code_1013(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_MAX_CLIENTS", 1)
    async with Exchange(Options()) as exchange, connect(exchange.url) as first:
        async with connect(exchange.url) as second:
            close_frame = await second.receive()
        assert (close_frame.data, close_frame.extra) == (1013, "too many clients")
        await first.send_str("what")
        assert "error" in await first.receive_json()


async def test_a_stopping_exchange_sends_close_code_1001() -> None:
    async with Exchange(Options()) as exchange, connect(exchange.url) as client:
        await exchange.__aexit__()
        assert (await client.receive()).data == 1001
