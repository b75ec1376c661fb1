"""Replay of files: format detection, merging by time, undecodable lines, the report."""

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from paceline.cli import app
from paceline.engine import Engine
from paceline.messages.inbound import PriceUpdate
from paceline.messages.log_form import Undecodable
from paceline.usecases.replay.recorded_frames import FrameError, price_of_frame
from paceline.usecases.replay.replay import Counts, Replayed, detect_format, merged, replay, timed_messages
from tests.support.shared_data import shared_data

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures" / "engine"

SPOT = (
    b'1723161254087891268 {"stream":"btcusdt@bookTicker","data":'
    b'{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.5"}}\n'
)
FUTURES = (
    b'1723161255088169167 {"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,'
    b'"s":"BTCUSDT","b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256314}}\n'
)
DEPTH = b'1723161253937085768 {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","b":[["1","0"]]}}\n'
BACKPACK = (
    b'{"data":{"A":"0.06093","B":"0.02426","E":1771003771693848,"T":1771003771690207,"a":"68983.1",'
    b'"b":"68983.0","e":"bookTicker","s":"BTC_USDC","u":2442329321},"stream":"bookTicker.BTC_USDC"}\n'
)


def line(time: int, id_: str) -> bytes:
    data = {
        "type": "user_instruction",
        "id": id_,
        "time": time,
        "kind": "deposit",
        "account": "a",
        "amount": "1",
    }
    return json.dumps(data).encode() + b"\n"


def names(messages: list[Replayed]) -> list[str]:
    return [m.raw.decode() if isinstance(m, Undecodable) else m.id for m in messages]


def merged_files(*files: list[bytes]) -> list[Replayed]:
    return list(merged([timed_messages(file, None, {}, Counts()) for file in files]))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([line(1, "a")], "jsonl"),
        ([b"\n", b"garbage\n", b"[1]\n", line(1, "a")], "jsonl"),
        ([DEPTH, SPOT], "binance"),
        ([BACKPACK], "backpack"),
        ([b"17000000000 " + BACKPACK], "backpack"),
        ([b"garbage\n"], None),
        ([], None),
    ],
)
def test_the_format_is_detected_from_the_lines(lines: list[bytes], expected: str | None) -> None:
    assert detect_format(lines) == expected


def test_a_spot_frame_has_the_time_of_receipt() -> None:
    price = price_of_frame(SPOT, "binance", {"BTCUSDT": "BTC_USDC_PERP"})
    assert price == PriceUpdate(
        id="BTC_USDC_PERP-50093239212",
        time=1723161254087891,
        symbol="BTC_USDC_PERP",
        bid=61837_63000000,
        bid_quantity=3_78826000,
        ask=61837_64000000,
        ask_quantity=1_50000000,
        update_id=50093239212,
        venue_time_us=None,
    )


def test_a_futures_frame_has_the_venue_time_too() -> None:
    price = price_of_frame(FUTURES, "binance", {})
    assert price is not None
    assert (price.symbol, price.time, price.venue_time_us) == ("BTCUSDT", 1723161255088169, 1723161256313000)


def test_a_backpack_frame_can_lack_a_time_of_receipt_and_have_a_text_id() -> None:
    price = price_of_frame(BACKPACK.replace(b"2442329321", b'"2442329321"'), "backpack", {})
    assert price is not None
    assert (price.time, price.venue_time_us, price.update_id) == (
        1771003771693848,
        1771003771690207,
        2442329321,
    )


def test_other_frames_are_ignored_and_broken_ones_raise() -> None:
    assert price_of_frame(DEPTH, "binance", {}) is None
    for broken in (
        b"17 {",
        b"17 []",
        b"",
        SPOT.replace(b"61837.63", b"6e4"),
        SPOT.replace(b'"u":50093239212,', b""),
        SPOT[20:],
    ):
        with pytest.raises(FrameError):
            price_of_frame(broken, "binance", {})


def test_files_are_merged_by_time_and_ties_by_file_order() -> None:
    first = [line(10, "a10"), line(5, "a5"), line(20, "a20")]
    second = [line(7, "b7"), line(10, "b10"), line(20, "b20")]
    assert names(merged_files(first, second)) == ["b7", "a10", "a5", "b10", "a20", "b20"]
    assert names(merged_files(second, first)) == ["b7", "b10", "a10", "a5", "b20", "a20"]


def test_an_undecodable_line_stays_after_its_predecessor() -> None:
    first = [b"head\n", line(10, "a10"), b"tail\n", b'{"time":30}\n']
    second = [line(1, "b1"), line(10, "b10"), line(25, "b25")]
    expected = ["head", "b1", "a10", "tail", "b10", "b25", '{"time":30}']
    assert names(merged_files(first, second)) == expected


def test_instructions_are_merged_with_recorded_frames() -> None:
    counts = Counts()
    config = [line(1723161254087891, "i")]
    frames = [DEPTH, SPOT, b"torn", FUTURES]
    sources = [timed_messages(config, "binance", {}, counts), timed_messages(frames, None, {}, counts)]
    assert names(list(merged(sources))) == ["i", "BTCUSDT-50093239212", "BTCUSDT-5123107839020"]
    assert (counts.other_frames, counts.bad_frames) == (1, 1)


def test_replay_stops_at_the_given_position() -> None:
    engine = Engine()
    report = replay(engine, merged_files([line(n, f"i{n}") for n in range(9)]), at=4)
    assert (report.messages, engine.position, report.outputs) == (4, 4, 4)


def test_a_types_fields_are_read_once_and_not_with_every_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """`msgspec.structs.fields` works out type hints, which takes longer than all else about a message."""
    asked: list[Any] = []
    read_fields = msgspec.structs.fields

    def counted(of: Any) -> Any:
        asked.append(of)
        return read_fields(of)

    monkeypatch.setattr(msgspec.structs, "fields", counted)
    lines = (FIXTURES / "trades.jsonl").read_bytes().splitlines()
    report = replay(Engine(), merged_files(lines))
    assert report.messages == len(lines)
    assert report.undecodable < report.messages // 2
    assert asked == []


# ---- the command


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["replay", *map(str, arguments)])


def test_the_command_writes_outputs_and_a_report(tmp_path: Path) -> None:
    packed = tmp_path / "orders.jsonl.gz"
    packed.write_bytes(gzip.compress((FIXTURES / "orders.jsonl").read_bytes()))
    out = tmp_path / "out.jsonl"
    result = run(packed, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    assert out.read_bytes() == (FIXTURES / "orders.out.jsonl").read_bytes()
    report = json.loads(result.stdout)
    golden = json.loads((FIXTURES / "golden_hashes.json").read_text(encoding="utf-8"))
    assert report["state_hash"] == golden["orders"]
    assert (report["messages"], report["accounts"], report["resting_orders"]) == (36, 2, 2)
    assert set(report["ledger"]) == {"USD", "BTC", "ETH"}


def test_output_ids_contain_the_shard(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert run(FIXTURES / "trades.jsonl", "--shard", 3, "--out", out).exit_code == 0
    assert all(json.loads(row)["id"].startswith("3:") for row in out.read_bytes().splitlines())


def test_undecodable_lines_are_counted(tmp_path: Path) -> None:
    report = json.loads(run(FIXTURES / "duplicates.jsonl", "--json").stdout)
    assert (report["messages"], report["undecodable"]) == (25, 6)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no-such-file.jsonl"], "does not exist"),
        ([FIXTURES / "trades.jsonl", "--symbol", "BTC"], "must have the form FROM=TO"),
        ([FIXTURES / "trades.jsonl", "--out", "/no/such/folder/out"], "cannot write"),
        ([FIXTURES / "trades.jsonl", "--format", "csv"], "csv"),
        ([], "Missing argument"),
    ],
)
def test_the_command_reports_invalid_arguments(arguments: list[object], says: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.output.replace("│", " ").split())


def test_a_torn_gzip_file_is_an_error(tmp_path: Path) -> None:
    torn = tmp_path / "torn.gz"
    torn.write_bytes(gzip.compress((FIXTURES / "orders.jsonl").read_bytes())[:-40])
    result = run(torn)
    assert result.exit_code == 1
    assert "cannot be read to its end" in result.output


def test_real_frames_become_prices() -> None:
    path = shared_data("ticks", "spot_ethusdt_20240808.gz")
    report = json.loads(run(path, "--symbol", "ETHUSDT=ETH_USDC_PERP", "--at", 2000, "--json").stdout)
    assert (report["messages"], report["dropped"]["market_not_configured"]) == (2000, 2000)


# ---- explanations


def explanation(name: str, id_: str) -> str:
    result = run(FIXTURES / f"{name}.jsonl", "--explain", id_)
    assert result.exit_code == 0, result.output
    return str(result.stdout.split("\n\n")[0])


def ended(name: str, reason: str) -> str:
    for row in (FIXTURES / f"{name}.out.jsonl").read_bytes().splitlines():
        data = json.loads(row)
        if data["type"] == "closed_order" and data["reason"] == reason:
            return str(data["trade"] or data["order"])
    raise AssertionError(f"{name} has no {reason}")


def test_explain_a_liquidated_trade() -> None:
    text = explanation("trades", ended("trades", "liquidation"))
    for words in (
        "opened a long of",
        "It is liquidated when the bid falls to",
        "fired the liquidation level at",
    ):
        assert words in text
    assert "the insurance paid the missing" in text


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("trades", "user", "closed it:"),
        ("trades", "stop_loss", "amended the trade: stop loss now 101.5, take profit removed"),
        ("trailing", "trailing_stop", "which fired the trailing stop at"),
        ("orders", "filled", "was filled"),
        ("orders", "rejected", "rejected instead of filled: the balance is too low (INSUFFICIENT_BALANCE)"),
        ("orders", "cancelled", "was cancelled"),
    ],
)
def test_explain_each_reason_of_closing(name: str, reason: str, words: str) -> None:
    assert words in explanation(name, ended(name, reason))


def test_explain_a_refusal_and_an_unknown_id() -> None:
    refused = next(
        row
        for row in map(json.loads, (FIXTURES / "trades.out.jsonl").read_bytes().splitlines())
        if row.get("status") == "rejected" and row["code"] == "MARKET_HALTED"
    )
    for id_ in (refused["id"], refused["instruction"]):
        assert "was refused: the market is halted by the operator (MARKET_HALTED)" in explanation(
            "trades", id_
        )
    assert explanation("trades", "9:9:9") == "Nothing on this log concerns 9:9:9."


def test_explain_an_open_trade() -> None:
    assert "It is still open, with" in explanation("trades", "0:34:0")
