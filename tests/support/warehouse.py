"""A nightly run on a simulated platform, without Kafka and Airflow."""

from dataclasses import replace
from datetime import date
from pathlib import Path

from paceline.bootstrap.nightly import build_models, open_nightly
from paceline.ports.warehouse import Cut
from paceline.settings import Settings, load
from paceline.usecases.warehouse.nightly import Nightly
from tests.support.servers import ROLE_PASSWORDS
from tests.support.warehouse_rows import SimulatedPlatform


def settings_of(url: str, folder: Path, shards: int = 2) -> Settings:
    environment = {
        **ROLE_PASSWORDS,
        "PACELINE_POSTGRES_URL": url,
        "PACELINE_VAR_DIR": str(folder),
        "PACELINE_ENGINE_SHARDS": str(shards),
    }
    return load(environment, folder)


def nightly_of(platform: SimulatedPlatform, settings: Settings) -> Nightly:
    return replace(open_nightly(settings), log_ends=platform.log_ends)


def build(run: Nightly, settings: Settings, day: date, *, allow_running: bool = False) -> tuple[Cut, bool]:
    """Take a cut, compute metrics and build the models. Returns the cut and whether dbt succeeded."""
    cut = run.take_cut(day, allow_running=allow_running, patience_s=1)
    run.delete_old_models()
    run.compute_metrics(cut)
    return cut, build_models(settings, run.cut_var(cut))


def pass_gates(run: Nightly, run_id: str, cut: Cut, *, built: bool) -> None:
    run.check_dbt(run_id, cut, built=built)
    run.check_expectations(run_id, cut)
    run.check_parity(run_id, cut)
