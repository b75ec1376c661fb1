"""Times are integers: microseconds since the Unix epoch, UTC. Their names end in `_us`."""

from datetime import UTC, date, datetime, timedelta

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_datetime(time_us: int) -> datetime:
    """Aware UTC datetime of a time in microseconds, without rounding."""
    return _EPOCH + timedelta(microseconds=time_us)


def from_datetime(moment: datetime) -> int:
    """Microseconds since the epoch of an aware datetime; `ValueError` if it has no time zone."""
    if moment.tzinfo is None:
        raise ValueError("a datetime must have a time zone")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def day_bounds_us(day: date) -> tuple[int, int]:
    """`[start, end)` of a UTC day in microseconds."""
    start = from_datetime(datetime(day.year, day.month, day.day, tzinfo=UTC))
    return start, start + DAY_US
