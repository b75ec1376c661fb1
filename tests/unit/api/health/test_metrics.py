"""Heartbeats and alerts as Prometheus metrics."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from api.health.metrics import prometheus_text
from paceline.ports.operations import Alert

NOW_US = 1_757_143_198_000_000
FEED = {
    "pid": 9, "state": "running", "last_price_us": NOW_US - 250_000, "frames": 12, "bad_frames": 2,
    "prices_sent": 10, "prices_dropped": 0, "reconnects": 1,
}  # fmt: skip


def engine(pid: int, at_us: int, **shards: Any) -> dict[str, Any]:
    return {"pid": pid, "state": "running", "at_us": at_us, "shards": shards}


def samples(text: bytes) -> dict[tuple[str, ...], float]:
    """`(name, *label values sorted by label name)` → value, read by the Prometheus parser."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_heartbeats_become_metrics_in_seconds_and_records() -> None:
    shard = {"next_offset": 7, "lag": 3, "snapshot_age_s": 4.5}
    found = samples(
        prometheus_text({"feed": [FEED], "engine": [engine(5, 1, **{"0": shard})]}, [], {}, NOW_US)
    )
    assert found["paceline_price_age_seconds",] == 0.25
    assert found["paceline_feed_bad_frames_total",] == 2
    assert found["paceline_service_up", "5", "engine"] == 1
    assert found["paceline_next_offset", "engine", "0"] == 7
    assert found["paceline_lag_records", "engine", "0"] == 3
    assert found["paceline_snapshot_age_seconds", "engine", "0"] == 4.5


def test_the_newest_heartbeat_of_a_shard_counts() -> None:
    old, new = engine(5, 1, **{"0": {"lag": 900}}), engine(6, 2, **{"0": {"lag": 1}})
    found = samples(prometheus_text({"engine": [new, old]}, [], {}, NOW_US))
    assert found["paceline_lag_records", "engine", "0"] == 1
    assert found["paceline_service_up", "5", "engine"] == 1


def test_problems_are_shown_and_unknown_values_are_omitted() -> None:
    alert = Alert(key="price:B", severity="critical", message="no prices", since=NOW_US, times=2)
    beats = {"engine": [engine(5, 1, **{"0": {"lag": None}}) | {"state": "waiting"}]}
    found = samples(prometheus_text(beats, [alert], {"redis": False}, NOW_US))
    assert found["paceline_alert_open_since_seconds", "price:B", "critical"] == NOW_US / 1e6
    assert found["paceline_dependency_up", "redis"] == 0
    assert found["paceline_service_up", "5", "engine"] == 0
    assert ("paceline_lag_records", "engine", "0") not in found
