"""Taking a cut: a consistent state of all shards, from snapshots that writer and bars have passed."""

import time
from collections.abc import Callable
from datetime import date

import structlog
from msgspec.structs import replace

from paceline.core.errors import NotFoundError, TransientError
from paceline.core.times import day_bounds_us
from paceline.domain.market.bars import PRICE_SHARD
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
    """Take the cut for a day. The day must be over on every shard, unless `allow_running`.

    A rerun of a day older than the published one refreshes that day; the marts still cover the newer day.
    `TransientError` if the engine, the writer or the bars are behind, `NotFoundError` if there was no account
    by the end of the day.
    """
    shards = cuts.shards()
    if not shards:
        raise TransientError("The engine has never run: there is no state to cut yet.", retry_after_s=30)
    published = cuts.published()
    as_of_day = max(day, published.day) if published else day
    cut_id, copied = cuts.copy_snapshots(day)
    try:
        _check_copied(copied, shards, day, allow_running=allow_running)
        _await_writer(cuts, log_ends, copied, patience_s, sleep)
        _await_bars(cuts, copied, patience_s, sleep)
        _check_accounts(cuts, day)
        return cuts.finish(_cut(cut_id, day, as_of_day, copied))
    except Exception:
        cuts.discard(cut_id)
        raise


def _check_copied(copied: list[ShardCut], shards: int, day: date, *, allow_running: bool) -> None:
    missing = sorted(set(range(shards)) - {one.shard for one in copied})
    if missing:
        raise TransientError(
            f"The shards {missing} have no snapshot yet. Check that the engine runs.", retry_after_s=15
        )
    start_us, end_us = day_bounds_us(day)
    needed_us = start_us if allow_running else end_us
    late = [one.shard for one in copied if one.log_time_us < needed_us]
    if late:
        event = "begun" if allow_running else "ended"
        raise TransientError(
            f"{day} has not {event} in the newest snapshots of shards {late}. "
            "Check that the engine runs and that prices arrive.",
            retry_after_s=15,
        )


def _check_accounts(cuts: CutStore, day: date) -> None:
    """Without an account there is nothing to rank. The writer must have stored the snapshots' effects."""
    first_us = cuts.first_opened_us()
    if first_us is None or first_us >= day_bounds_us(day)[1]:
        raise NotFoundError(f"The platform has no account by the end of {day}: there is nothing to rank.")


def _await_writer(
    cuts: CutStore,
    log_ends: LogEnds,
    copied: list[ShardCut],
    patience_s: float,
    sleep: Callable[[float], None],
) -> None:
    """Wait until the writer has stored every effect that is in the snapshots.

    Effects are sparse, so the writer's position may stay below that of a snapshot for ever. A snapshot is
    stored only after its effects are in Kafka: a writer at the current end of `engine.out` has them all.
    """
    ends = None

    def late_shards() -> list[int]:
        nonlocal ends
        standings = cuts.writer_progress()
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
        return [s.shard for s in late]

    if late := _last_result(late_shards, "waiting for the writer", patience_s, sleep):
        raise TransientError(
            f"The writer has not stored the effects in the snapshots of shards {late} "
            f"after {patience_s:.0f} s. Check that it runs.",
            retry_after_s=30,
        )


def _await_bars(
    cuts: CutStore, copied: list[ShardCut], patience_s: float, sleep: Callable[[float], None]
) -> None:
    """Wait until the bars hold every price before the snapshot of their shard.

    Holdings are marked with bars. The snapshot lies at or after the end of a day that has ended.
    """
    needed = next(one.position for one in copied if one.shard == PRICE_SHARD)

    def late_position() -> list[int]:
        position = cuts.bars_position()
        return [position] if position < needed else []

    if late := _last_result(late_position, "waiting for the bars", patience_s, sleep):
        raise TransientError(
            f"The reader of bars is at position {late[0]} of shard {PRICE_SHARD}, before the snapshot "
            f"at {needed}, after {patience_s:.0f} s. Check that `paceline stream bars` runs.",
            retry_after_s=30,
        )


def _last_result(
    check: Callable[[], list[int]], doing: str, patience_s: float, sleep: Callable[[float], None]
) -> list[int]:
    """Repeat `check` with growing pauses until its result is empty, or until `patience_s` of pauses."""
    from tenacity import RetryCallState, Retrying, retry_if_result, wait_random_exponential

    def result_of(state: RetryCallState) -> list[int]:
        assert state.outcome is not None
        found: list[int] = state.outcome.result()
        return found

    def report(state: RetryCallState) -> None:
        _log.info(doing, late=result_of(state), waited_s=round(state.idle_for, 1))

    return Retrying(
        retry=retry_if_result(bool),
        wait=wait_random_exponential(0.25, 5.0, min=0.1),
        stop=lambda state: state.idle_for >= patience_s,
        before_sleep=report,
        retry_error_callback=result_of,
        sleep=sleep,
    )(check)


def _cut(cut_id: int, day: date, as_of_day: date, copied: list[ShardCut]) -> Cut:
    _, end_us = day_bounds_us(as_of_day)
    running = any(one.log_time_us < end_us for one in copied)
    as_of_end_us = min(end_us, max(one.log_time_us for one in copied) + 1) if running else end_us
    cut = Cut(cut_id, day, as_of_day, as_of_end_us, running, copied)
    return replace(cut, shards=sorted(copied, key=lambda one: one.shard))
