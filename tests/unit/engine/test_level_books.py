"""The two level books, compared with simple implementations on seeded random data."""

from random import Random

import pytest

from paceline.engine.levels import FALLING, ORDER, RISING, STOP_LOSS, LevelEntry, LevelHeap
from paceline.engine.trailing import TrailingBook

SEEDS = range(12)


class PlainStops:
    """Tracks each trailing stop separately: id → (distance, best price, position)."""

    def __init__(self, worse: int) -> None:
        self.worse = worse
        self.stops: dict[str, tuple[int, int, int]] = {}

    def move(self, price: int) -> None:
        for id_, (distance, best, position) in self.stops.items():
            better = min(best * self.worse, price * self.worse) * self.worse
            self.stops[id_] = (distance, better, position)

    def take(self, price: int) -> list[tuple[int, str]]:
        due = []
        for id_, (distance, best, position) in self.stops.items():
            key = best * self.worse + distance
            if key <= price * self.worse:
                due.append((key, position, id_))
        for _, _, id_ in due:
            del self.stops[id_]
        return [(key, id_) for key, _, id_ in sorted(due)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("worse", [FALLING, RISING])
def test_trailing_groups_fire_like_single_stops(seed: int, worse: int) -> None:
    rng = Random(seed)
    plain = PlainStops(worse)
    book = TrailingBook(worse, lambda entry: entry.id in plain.stops)
    price, fired = 10_000, 0
    for position in range(800):
        price += rng.choice((-3, -2, -1, 0, 1, 2, 3))
        halted = rng.random() < 0.1  # a price during a halt moves nothing; the next stop is out of order
        if not halted:
            book.move(price)
            plain.move(price)
            taken = sorted(book.take(price))
            due = plain.take(price)
            assert [(entry.key, entry.id) for entry in taken] == due
            fired += len(due)
            for _ in due:
                book.forget()
        if rng.random() < 0.5:
            entry = LevelEntry(rng.randrange(1, 15), STOP_LOSS, position, f"t{position}")
            plain.stops[entry.id] = (entry.key, price, position)
            book.add(entry, price)
        if plain.stops and rng.random() < 0.1:
            del plain.stops[rng.choice(sorted(plain.stops))]
            book.forget()
        best = book.best_prices()
        assert all(best.at(position_) == seen for _, seen, position_ in plain.stops.values())
    assert fired > 20


@pytest.mark.parametrize("direction", [FALLING, RISING])
def test_removed_levels_do_not_accumulate(direction: int) -> None:
    living: set[str] = set()
    heap = LevelHeap(direction, lambda entry: entry.id in living)
    for number in range(20_000):
        living.add(f"o{number}")
        heap.add(1_000 + direction * number, ORDER, number, f"o{number}")
        if number >= 10:
            living.discard(f"o{number - 10}")
            heap.forget()
    assert len(heap._entries) < 3_000
    taken = heap.take(1_000 + direction * 30_000)
    assert [entry.id for entry in taken] == [f"o{number}" for number in range(19_990, 20_000)]
    assert heap.take(1_000 + direction * 30_000) == []


def test_removed_trailing_stops_do_not_accumulate() -> None:
    living: set[str] = set()
    book = TrailingBook(FALLING, lambda entry: entry.id in living)
    for number in range(20_000):
        living.add(f"t{number}")
        book.add(LevelEntry(100_000, STOP_LOSS, number, f"t{number}"), 50_000 - number)
        if number >= 10:
            living.discard(f"t{number - 10}")
            book.forget()
    assert sum(len(group.entries) for group in book._groups) < 3_000
    assert len(book._groups) < 3_000
