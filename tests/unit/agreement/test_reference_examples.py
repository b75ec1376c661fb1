"""The reference engine against examples from the specification and recorded or hand-made files."""

import json
from pathlib import Path

import pytest

from tests.support.reference.engine import ReferenceEngine
from tests.support.shared_data import shared_data

OWN_EXAMPLES = sorted(Path(__file__).resolve().parents[2].glob("fixtures/engine/**/*.out.jsonl"))

PAGE = """
{"type":"admin_instruction","id":"m1","time":1,"kind":"configure_market","symbol":"BTC_USDC_PERP","base":"BTC","quantity_step":"0.00001","min_notional":"5","max_leverage":100,"maker_rate_bps":2,"taker_rate_bps":5,"maintenance_rate_bps":50,"max_price_age_us":5000000}
{"type":"price_update","id":"p1","time":2,"symbol":"BTC_USDC_PERP","bid":"68983.0","bid_quantity":"0.02426","ask":"68983.1","ask_quantity":"0.06093","venue_time_us":2,"update_id":2442329321}
{"type":"user_instruction","id":"i1","time":3,"kind":"open_account","account":"a1","initial_balance":"5000"}
{"type":"user_instruction","id":"i2","time":4,"kind":"create_trade","account":"a1","symbol":"BTC_USDC_PERP","side":"long","margin":"100","leverage":10,"stop_loss":"68000","take_profit":"70000","trailing_stop":"500","expected_price":"68983.1","max_slippage_bps":20}
{"type":"user_instruction","id":"i3","time":5,"kind":"amend_trade","account":"a1","trade":"0:3:0","stop_loss":"68500","take_profit":null}
{"type":"user_instruction","id":"i4","time":6,"kind":"close_trade","account":"a1","trade":"0:3:0","quantity":"0.005"}
{"type":"user_instruction","id":"i5","time":7,"kind":"place_order","account":"a1","symbol":"BTC_USDC_PERP","side":"buy","order_type":"limit","quantity":"0.001","price":"68000"}
{"type":"user_instruction","id":"i6","time":8,"kind":"place_order","account":"a1","symbol":"BTC_USDC_PERP","side":"buy","order_type":"stop","quantity":"0.001","price":"70000","oco_with":"0:6:0"}
{"type":"user_instruction","id":"i7","time":9,"kind":"cancel_order","account":"a1","order":"0:6:0"}
{"type":"admin_instruction","id":"m2","time":10,"kind":"halt_market","symbol":"BTC_USDC_PERP"}
""".strip()

PAGE_OUT = """
{"type":"order_response","id":"0:3:0","time":4,"instruction":"i2","account":"a1","status":"accepted","code":null,"trade":"0:3:0","order":null,"price":"68983.1","quantity":"0.01449","fee":"0.49978256","liquidation":"62426.70425121","duplicate":false}
{"type":"balance_update","id":"0:3:1","time":4,"account":"a1","cash":"4899.50021744","margin":"100","locked":"0","balances":{},"locked_balances":{}}
{"type":"closed_order","id":"0:5:1","time":6,"account":"a1","trade":"0:3:0","order":null,"symbol":"BTC_USDC_PERP","side":"long","quantity":"0.005","entry":"68983.1","exit":"68983","profit":"-0.0005","fee":"0.1724575","margin":"34.50655624","leverage":10,"reason":"user","code":null,"remaining":"0.00949","opened":4,"closed":6}
""".strip()


def replay(text: str) -> list[str]:
    """Replay lines and return the output lines; check the ledger after each line."""
    engine = ReferenceEngine(shard=0)
    lines: list[str] = []
    for line in text.splitlines():
        outputs = engine.apply_line(line)
        engine.ledger.check()
        lines += [json.dumps(output, separators=(",", ":"), ensure_ascii=False) for output in outputs]
    return lines


@pytest.mark.parametrize("name", ["basic", "sample"])
def test_recorded_examples(name: str) -> None:
    source = shared_data("engine", f"{name}.jsonl").read_text()
    expected = shared_data("engine", f"{name}.out.jsonl").read_text()
    assert replay(source) == expected.splitlines()


def test_the_example_of_the_specification() -> None:
    out = replay(PAGE)
    assert [line for line in PAGE_OUT.splitlines() if line not in out] == []


def test_cancelling_an_order_cancels_its_oco_partner_next() -> None:
    cancelled = [json.loads(line) for line in replay(PAGE) if '"id":"0:8:' in line]
    assert [(o["type"], o.get("order")) for o in cancelled] == [
        ("order_response", "0:6:0"),
        ("closed_order", "0:6:0"),
        ("closed_order", "0:7:0"),
        ("balance_update", None),
    ]
    assert cancelled[-1]["locked"] == "0"


@pytest.mark.parametrize("expected", OWN_EXAMPLES, ids=lambda path: path.name)
def test_hand_made_fixtures(expected: Path) -> None:
    source = expected.with_name(expected.name.replace(".out.jsonl", ".jsonl"))
    assert replay(source.read_text()) == expected.read_text().splitlines()
