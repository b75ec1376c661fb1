"""The engine, its shards and its snapshots."""

from dataclasses import dataclass

from paceline.settings.fields import between, one_of, setting


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    engine: str = setting(
        "auto",
        one_of("auto", "compiled", "python"),
        "Form of the engine; auto means compiled if a build is installed",
    )
    engine_shards: int = setting("4", between(1, 256), "Number of shards, fixed at installation")
    snapshot_interval_s: int = setting("10", between(1, 3600), "Seconds between snapshots of a shard")
