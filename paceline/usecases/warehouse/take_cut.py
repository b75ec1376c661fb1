"""A consistent cut of all shards: snapshots that the writer has passed."""

import time
from collections.abc import Callable
from datetime import date

import structlog
from msgspec.structs import replace

from paceline.core.errors import NotFoundError, TransientError
from paceline.core.times import day_bounds_us
from paceline.ports.warehouse import Cut, CutStore, LogEnds, ShardCut

_log = structlog.get_logger()


def take_cut(
    cuts: CutStore,
    log_ends: LogEnds,
    day: date,
    *,
    allow_running: bool,
    patience_s: float = 60.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Cut:
    """Take the cut for a day. The day must be over on every shard, unless a running one is allowed.

    A rerun of a day older than the published one refreshes that day, but the marts go on telling of the newer
    one. `TransientError` where the engine or the writer has not come far enough, `NotFoundError` where nobody
    had an account by the end of the day.
    """
    shards = cuts.shards()
    if not shards:
        raise TransientError("The engine has never run: there is nothing to cut yet.", retry_after_s=30)
    published = cuts.published()
    as_of_day = max(day, published.day) if published else day
    cut_id, copied = cuts.copy_snapshots(day)
    try:
        _check_copied(copied, shards, day, allow_running=allow_running)
        _await_writer(cuts, log_ends, copied, patience_s, sleep)
        _check_anybody(cuts, day)
        return cuts.finish(_cut(cut_id, day, as_of_day, copied))
    except Exception:
        cuts.discard(cut_id)
        raise


def _check_copied(copied: list[ShardCut], shards: int, day: date, *, allow_running: bool) -> None:
    missing = sorted(set(range(shards)) - {one.shard for one in copied})
    if missing:
        raise TransientError(f"No snapshot yet of shards {missing}: is the engine running?", retry_after_s=15)
    start_us, end_us = day_bounds_us(day)
    needed_us = start_us if allow_running else end_us
    late = [one.shard for one in copied if one.log_time_us < needed_us]
    if late:
        event = "begun" if allow_running else "ended"
        raise TransientError(
            f"{day} has not {event} in the newest snapshots of shards {late}. "
            "Is the engine running, and do prices flow?",
            retry_after_s=15,
        )


def _check_anybody(cuts: CutStore, day: date) -> None:
    """Before the first account there is nobody to rank. Ask once the writer has come far enough."""
    first_us = cuts.first_opened_us()
    if first_us is None or first_us >= day_bounds_us(day)[1]:
        raise NotFoundError(f"Nobody had an account by the end of {day}: there is nothing to rank.")


def _await_writer(
    cuts: CutStore,
    log_ends: LogEnds,
    copied: list[ShardCut],
    patience_s: float,
    sleep: Callable[[float], None],
) -> None:
    """Wait until the writer has stored every effect that is in the snapshots.

    Effects are sparse, so its position alone may stand before a snapshot for ever. A snapshot is stored only
    after Kafka has its effects: who has read `engine.out` to the end that it has now has them all.
    """
    ends = None
    pause_s = 0.25
    waited_s = 0.0
    while True:
        standings = cuts.writer_standings()
        late = [
            s for s in copied if s.shard not in standings or standings[s.shard].next_position < s.position
        ]
        if late and ends is None:
            ends = log_ends()
        if ends is not None:
            late = [
                s for s in late
                if (standings[s.shard].next_offset if s.shard in standings else 0) < ends.get(s.shard, 0)
            ]  # fmt: skip
        if not late:
            return
        if waited_s >= patience_s:
            raise TransientError(
                f"After {patience_s:.0f} s the writer still has not stored what the snapshots of shards "
                f"{[s.shard for s in late]} hold: is it running?",
                retry_after_s=30,
            )
        _log.info("waiting for the writer", shards=[s.shard for s in late], waited_s=round(waited_s, 1))
        sleep(pause_s)
        waited_s += pause_s
        pause_s = min(pause_s * 2, 5.0)


def _cut(cut_id: int, day: date, as_of_day: date, copied: list[ShardCut]) -> Cut:
    _, end_us = day_bounds_us(as_of_day)
    running = any(one.log_time_us < end_us for one in copied)
    as_of_end_us = min(end_us, max(one.log_time_us for one in copied) + 1) if running else end_us
    cut = Cut(cut_id, day, as_of_day, as_of_end_us, running, copied)
    return replace(cut, shards=sorted(copied, key=lambda one: one.shard))
