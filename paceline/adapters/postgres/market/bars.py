"""One-minute bars (`market.bars`), stored in parts."""

from collections.abc import Sequence
from typing import Any

from paceline.adapters.postgres.connections.session import Connection
from paceline.adapters.postgres.numbers import to_numeric
from paceline.domain.market.bars import Bar

# A part whose last update id is not above the stored one is merged already: a repeat changes nothing.
_MERGE = """
insert into market.bars as kept (
    symbol, minute_us, bid_open, bid_high, bid_low, bid_close, ask_open, ask_high, ask_low, ask_close,
    updates, last_update_id
) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (symbol, minute_us) do update set
    bid_high = greatest(kept.bid_high, excluded.bid_high),
    bid_low = least(kept.bid_low, excluded.bid_low),
    bid_close = excluded.bid_close,
    ask_high = greatest(kept.ask_high, excluded.ask_high),
    ask_low = least(kept.ask_low, excluded.ask_low),
    ask_close = excluded.ask_close,
    updates = kept.updates + excluded.updates,
    last_update_id = excluded.last_update_id
where excluded.last_update_id > kept.last_update_id
"""


async def merge_bars(connection: Connection, parts: Sequence[Bar]) -> None:
    """Merge parts into the stored bars: keep the first open and the last close, widen high and low."""
    async with connection.cursor() as cursor:
        await cursor.executemany(_MERGE, [_row(part) for part in parts])


def _row(part: Bar) -> tuple[Any, ...]:
    bid, ask = part.bid, part.ask
    prices = (bid.open, bid.high, bid.low, bid.close, ask.open, ask.high, ask.low, ask.close)
    return (part.symbol, part.minute_us, *map(to_numeric, prices), part.updates, part.last_update_id)
