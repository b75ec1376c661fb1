"""The nightly run. Adapters are imported where they are used: each task of the DAG is a process."""

from typing import TYPE_CHECKING

from paceline.settings import Settings

if TYPE_CHECKING:
    from paceline.usecases.warehouse.nightly import Nightly


def open_nightly(settings: Settings) -> "Nightly":
    """The steps of the nightly run on real servers. Each step connects when it is called."""
    from paceline.adapters.files.parquet import ParquetStore
    from paceline.adapters.kafka.log_ends import KafkaLogEnds
    from paceline.adapters.postgres.warehouse.account_metrics import PostgresAccountMetrics
    from paceline.adapters.postgres.warehouse.cuts import PostgresCuts
    from paceline.adapters.postgres.warehouse.gates import PostgresGates
    from paceline.adapters.postgres.warehouse.publication import PostgresModels
    from paceline.usecases.warehouse.nightly import Nightly
    from quality.checkpoint import PostgresExpectations

    url = settings.database_url_of("nightly")
    return Nightly(
        cuts=PostgresCuts(url),
        log_ends=KafkaLogEnds(settings.kafka, settings.engine_shards),
        metrics=PostgresAccountMetrics(url),
        gates=PostgresGates(url),
        models=PostgresModels(url),
        expectations=PostgresExpectations(url),
        cold=ParquetStore(url, settings.var_dir / "cold"),
        minimum_trades=settings.leaderboard_minimum_trades,
    )


def warehouse_environment(settings: Settings) -> dict[str, str]:
    """Environment variables that the dbt project reads."""
    from paceline.adapters.runtime.dbt import dbt_environment

    return dbt_environment(settings.database_url_of("nightly"))


def build_models(settings: Settings, cut_var: str) -> bool:
    """Run `dbt build` of all models at a cut, without Airflow; True if everything succeeded."""
    import json

    from paceline.adapters.runtime.dbt import run_dbt

    variables = json.dumps({"cut": cut_var})
    return run_dbt(warehouse_environment(settings), "build", "--vars", variables)
