"""The dbt project: it parses without a database, and its unit tests pass."""

import json
from pathlib import Path

import pytest

from paceline.adapters.runtime.dbt import dbt_environment, run_dbt
from tests.support.servers import as_role


def test_dbt_unit_tests_pass(postgres_url: str, tmp_path: Path) -> None:
    """dbt reads column types from the database, so the models are built first, without rows."""
    environment = dbt_environment(as_role(postgres_url, "nightly")) | {
        "DBT_TARGET_PATH": str(tmp_path),
        "DBT_LOG_PATH": str(tmp_path),
        "DBT_EXCLUDE_RESOURCE_TYPES": "exposure",
    }
    assert run_dbt(environment, "build")
    results = json.loads((tmp_path / "run_results.json").read_text())["results"]
    units = [one for one in results if one["unique_id"].startswith("unit_test.")]
    assert len(units) >= 4
    assert {one["status"] for one in units} == {"pass"}


@pytest.mark.parametrize("name", ["sources", "models"])
def test_the_manifest_is_built_without_a_database(name: str, tmp_path: Path) -> None:
    environment = dbt_environment("postgresql://unknown@127.0.0.1:1/none")
    assert run_dbt(environment | {"DBT_TARGET_PATH": str(tmp_path), "DBT_LOG_PATH": str(tmp_path)}, "parse")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    if name == "sources":
        assert all(one["freshness"]["warn_after"]["count"] for one in manifest["sources"].values())
        return
    models = [one for one in manifest["nodes"].values() if one["resource_type"] == "model"]
    keyed = {
        node["attached_node"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and node["test_metadata"]["name"] in ("unique", "unique_together")
    }
    assert {one["unique_id"] for one in models} == keyed
    assert all(one["contract"]["enforced"] for one in models if one["fqn"][1] == "marts")
