"""Prometheus metrics from the heartbeats of the services. Pure: heartbeats and alerts in, text out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest

from paceline.adapters.redis.operations import merge_heartbeats
from paceline.ports.operations import Alert

Beats = Mapping[str, Sequence[Mapping[str, Any]]]

_HEALTHY_STATES: Final = ("ok", "running")
_SHARD_GAUGES: Final = {
    "next_offset": ("paceline_next_offset", "Offset of the next record of a reader"),
    "lag": ("paceline_lag_records", "Records on a shard's log that its reader has not read yet"),
    "snapshot_age_s": ("paceline_snapshot_age_seconds", "Age of a shard's newest stored snapshot"),
}
_FEED_COUNTERS: Final = {
    "frames": ("paceline_feed_frames", "Frames received from the exchange"),
    "bad_frames": ("paceline_feed_bad_frames", "Frames refused and stored as dead letters"),
    "prices_sent": ("paceline_feed_prices_sent", "Prices written to the log"),
    "prices_dropped": ("paceline_feed_prices_dropped", "Prices dropped while the log could not be written"),
    "reconnects": ("paceline_feed_reconnects", "Reconnections to the exchange"),
}


class _Collected:
    """A registry for `generate_latest`, which needs only `collect`."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def prometheus_text(
    beats: Beats, alerts: Sequence[Alert], dependencies: Mapping[str, bool], now_us: int
) -> bytes:
    """The metrics in Prometheus' text format."""
    metrics = [_dependencies(dependencies), _alerts(alerts), _services(beats), *_shards(beats)]
    metrics += _feed(beats.get("feed", ()), now_us)
    return bytes(generate_latest(_Collected(metrics)))


def _dependencies(dependencies: Mapping[str, bool]) -> Metric:
    gauge = GaugeMetricFamily("paceline_dependency_up", "1 if the API can reach it", labels=["dependency"])
    for name, up in dependencies.items():
        gauge.add_metric([name], up)
    return gauge


def _alerts(alerts: Sequence[Alert]) -> Metric:
    text = "When an open alert was opened, in seconds since the epoch"
    gauge = GaugeMetricFamily("paceline_alert_open_since_seconds", text, labels=["key", "severity"])
    for alert in alerts:
        gauge.add_metric([alert.key, alert.severity], alert.since / 1e6)
    return gauge


def _services(beats: Beats) -> Metric:
    text = "1 if a worker of the service reports that it is healthy; no sample if it reports nothing"
    gauge = GaugeMetricFamily("paceline_service_up", text, labels=["service", "pid"])
    for service, instances in beats.items():
        for beat in instances:
            gauge.add_metric([service, str(beat.get("pid"))], beat.get("state") in _HEALTHY_STATES)
    return gauge


def _shards(beats: Beats) -> Iterable[Metric]:
    for field, (name, text) in _SHARD_GAUGES.items():
        gauge = GaugeMetricFamily(name, text, labels=["service", "shard"])
        for service, instances in beats.items():
            for shard, view in sorted(merge_heartbeats(instances).get("shards", {}).items()):
                if view.get(field) is not None:
                    gauge.add_metric([service, shard], view[field])
        yield gauge


def _feed(instances: Sequence[Mapping[str, Any]], now_us: int) -> Iterable[Metric]:
    age = GaugeMetricFamily(
        "paceline_price_age_seconds", "Time since the last usable price from the exchange"
    )
    counters = {field: CounterMetricFamily(*named) for field, named in _FEED_COUNTERS.items()}
    for beat in instances:
        if beat.get("last_price_us"):
            age.add_metric([], max(0.0, (now_us - beat["last_price_us"]) / 1e6))
        for field, counter in counters.items():
            counter.add_metric([], beat.get(field, 0))
    return [age, *counters.values()]
