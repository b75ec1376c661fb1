from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from paceline.core.times import DAY_US, day_bounds_us, from_datetime, to_datetime


@pytest.mark.parametrize("time_us", [0, 1, 1700000000123457, 253402300799999999])
def test_microseconds_survive_the_round_trip_exactly(time_us: int) -> None:
    assert from_datetime(to_datetime(time_us)) == time_us


def test_another_time_zone_is_the_same_moment() -> None:
    zone = timezone(timedelta(hours=-3, minutes=-30))
    assert from_datetime(datetime(2026, 1, 1, tzinfo=zone)) == from_datetime(
        datetime(2026, 1, 1, 3, 30, tzinfo=UTC)
    )


def test_a_naive_datetime_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        from_datetime(datetime(2026, 1, 1))  # noqa: DTZ001


def test_day_bounds_are_half_open() -> None:
    start, end = day_bounds_us(date(2024, 2, 29))
    assert (to_datetime(start), end - start) == (datetime(2024, 2, 29, tzinfo=UTC), DAY_US)
