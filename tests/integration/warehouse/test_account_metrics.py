"""The metrics of a seeded platform's accounts, pinned: a change of the valuation must be meant."""

from collections.abc import Callable
from datetime import timedelta

import psycopg

from paceline.adapters.postgres.warehouse.account_metrics import PostgresAccountMetrics
from paceline.adapters.postgres.warehouse.cuts import PostgresCuts
from paceline.core.times import day_bounds_us
from paceline.ports.warehouse import Cut
from tests.support.seed_warehouse import FIRST_DAY, LAST_DAY
from tests.support.warehouse_rows import SimulatedPlatform

# Account: equity, asset value, unrealised profit, realised profit, fees, exposure, open and closed trades.
FIRST = """
a0 4488.17512935 382.04119857 -0.01957716 -287.25339577 26.78987988 167.79107903 1 10
a1 5195.71553868 659.16823905 11.47273408 -45.18429728 31.25093682 8228.35466497 1 10
a2 5159.10947627 250.94498465 0.00000000 48.39471401 76.32221368 0.00000000 0 17
a3 4859.63805932 390.47678096 -95.45126681 119.11439424 34.84891448 8704.53687292 1 7
a4 5375.89338875 1161.05820836 -19.61359594 130.82352542 41.06848818 23097.45687649 4 7
a5 1408.54709368 22.49488636 0.00000000 -73.67632028 6.50751235 0.00000000 0 4
"""
SECOND = """
a0 5970.32663522 1139.46051284 0.00000000 -419.46685403 60.43182669 0.00000000 0 25
a1 4899.76112608 796.90988331 -20.09531675 -41.70126695 49.48826952 4146.08765933 3 19
a2 5083.73435424 1259.90864015 -0.02327552 7.40285854 86.86437136 281.96458130 1 23
a3 4552.85198668 1825.57160276 0.00000000 -211.44396834 79.10209905 0.00000000 0 17
a4 6362.15642951 2478.99468396 -0.06369000 394.04836348 78.24951308 3819.65527227 1 23
a5 1945.41212195 897.19917016 0.00000000 -95.20380135 36.05786811 0.00000000 0 11
"""
ROWS = """
select right(account, 2), equity, asset_value, unrealised_profit, realised_profit, fees, exposure,
    open_trades, closed_trades
from ops.account_metrics where day = %s order by account
"""


def test_the_metrics_of_two_days(fresh_database: Callable[[], str]) -> None:
    url = fresh_database()
    platform = SimulatedPlatform(url)
    platform.trade(FIRST_DAY, days=3)
    platform.store()
    cut_id, _ = PostgresCuts(url).copy_snapshots(LAST_DAY)
    metrics = PostgresAccountMetrics(url)
    for day, expected in ((FIRST_DAY, FIRST), (FIRST_DAY + timedelta(days=1), SECOND)):
        cut = Cut(cut_id, day, day, day_bounds_us(day)[1], False, [])
        assert metrics.unmarked(cut, day) == []
        assert metrics.compute(cut, day) == 6
        with psycopg.connect(url) as connection:
            rows = connection.execute(ROWS, (day,)).fetchall()
        found = [
            " ".join(f"{cell:f}" if hasattr(cell, "as_tuple") else str(cell) for cell in row) for row in rows
        ]
        assert found == expected.strip().splitlines()
