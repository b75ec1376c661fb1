"""Each effect is returned once, in batches that end with a record."""

from dataclasses import dataclass

from paceline.adapters.postgres.readers import ReaderPosition
from paceline.messages.inbound import PriceUpdate
from paceline.messages.log_form import encode_effects
from paceline.messages.outbound import BalanceUpdate, Effect
from stream.runtime.effect_batches import effect_batches


@dataclass
class Record:
    offset: int
    value: bytes


def record(offset: int, *positions: int) -> Record:
    price = PriceUpdate("", 1, "BTC_USDC_PERP", 100, 1, 101, 1, 1)
    return Record(offset, encode_effects([Effect(position, 1, price, []) for position in positions]))


def batches(*records: Record, standing: ReaderPosition = ReaderPosition(0, 0), most: int = 3) -> list[object]:  # noqa: B008
    found = effect_batches(list(records), standing, most)
    return [([effect.position for effect in effects], now) for effects, now in found]


def test_a_batch_ends_with_the_record_that_fills_it() -> None:
    assert batches(record(0, 0, 1), record(1, 4, 5), record(2, 7)) == [
        ([0, 1, 4, 5], ReaderPosition(6, 2)),
        ([7], ReaderPosition(8, 3)),
    ]


def test_effects_written_before_by_another_owner_are_skipped() -> None:
    assert batches(record(5, 3, 4), record(6, 3, 4, 8), record(7, 4), standing=ReaderPosition(4, 5)) == [
        ([4, 8], ReaderPosition(9, 8)),
    ]


def test_a_record_with_only_repeats_still_advances_the_offset() -> None:
    assert batches(record(9, 1, 2), standing=ReaderPosition(3, 9)) == [([], ReaderPosition(3, 10))]


def test_outputs_count_towards_the_batch_size() -> None:
    price = PriceUpdate("", 1, "BTC_USDC_PERP", 100, 1, 101, 1, 1)
    update = BalanceUpdate("0:0:0", 1, "a1", 0, 0, 0, {}, {})
    heavy = Record(0, encode_effects([Effect(0, 1, price, [update, update])]))
    assert batches(heavy, record(1, 4)) == [([0], ReaderPosition(1, 1)), ([4], ReaderPosition(5, 2))]
