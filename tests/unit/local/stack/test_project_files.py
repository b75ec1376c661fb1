"""docker-compose.yml, Makefile and .ci/run match the stack."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from paceline.build import compiled
from paceline.cli import COMMANDS
from paceline.local.stack import secrets
from paceline.local.stack import services as stack

ROOT = Path(__file__).resolve().parents[4]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
IMAGES = {"paceline": "platform", "paceline-airflow": "airflow"}
DOCKERFILES = {name: (ROOT / "docker" / f"{name}.Dockerfile").read_text() for name in IMAGES.values()}
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OFFICIAL = {"postgres": "postgres:18", "redis": "redis:8", "kafka": "apache/kafka:4.1.0"}
ONE_SHOTS = {"init", "airflow-migrate"}
WITHOUT_ADDRESS = {"traders", "nightly"}


def test_servers_use_official_images_and_services_our_images() -> None:
    images = {name: service["image"] for name, service in SERVICES.items()}
    assert {name: image for name, image in images.items() if image not in IMAGES} == OFFICIAL
    assert {image for image in images.values() if image in IMAGES} == IMAGES.keys()


@pytest.mark.parametrize("name", SERVICES)
def test_airflow_runs_in_an_image_without_the_platform(name: str) -> None:
    service = SERVICES[name]
    if service["image"] in IMAGES:
        assert (service["command"][0] == "airflow") == (service["image"] == "paceline-airflow")
        file = f"docker/{IMAGES[service['image']]}.Dockerfile"
        assert service["build"] == {"context": ".", "dockerfile": file}


def test_each_image_installs_its_lock_on_an_official_image() -> None:
    bases = {name: re.findall(r"^FROM (\S+:\S+)", text, re.M) for name, text in DOCKERFILES.items()}
    lock = (ROOT / "requirements-airflow.txt").read_text()
    [airflow] = re.findall(r"^apache-airflow==(\S+)", lock, re.M)
    assert bases == {"platform": ["python:3.12-slim"], "airflow": [f"apache/airflow:{airflow}-python3.12"]}
    for name, text in DOCKERFILES.items():
        assert re.findall(r"pip install .*-r (\S+)", text) == [f"requirements-{name}.txt"]


def test_both_images_write_to_the_shared_folder_as_the_same_user() -> None:
    """50000 is the user id of `airflow` in the official image."""
    assert "useradd --uid 50000 --gid 0 " in DOCKERFILES["platform"]
    for name, user in (("platform", "paceline"), ("airflow", "airflow")):
        assert (
            f"install --directory --owner={user} --group=root /opt/paceline /opt/paceline/var"
            in DOCKERFILES[name]
        )
        assert re.findall(r"^USER (\S+)", DOCKERFILES[name], re.M)[-1] == user
    assert all(s["volumes"] == ["var:/opt/paceline/var"] for s in SERVICES.values() if s["image"] in IMAGES)


def test_the_platform_image_has_the_compiled_engine_in_the_expected_folder() -> None:
    folder = f"/usr/local/{compiled.builds().parent.relative_to(sys.prefix)}"
    assert f"COPY --from=compiler {folder} {folder}\n" in DOCKERFILES["platform"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_restart_policy_and_a_health_check(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] in ("unless-stopped", "on-failure:5")
    check = service["healthcheck"]
    if name in ONE_SHOTS | WITHOUT_ADDRESS:
        assert check == {"disable": True}
    else:
        assert check["test"][0] in ("CMD", "CMD-SHELL")


def test_compose_runs_the_same_commands_as_the_supervisor() -> None:
    in_compose = {
        name: tuple(part for part in service["command"][1:] if not part.startswith("--"))
        for name, service in SERVICES.items()
        if service["image"] == "paceline" and service["command"][0] == "paceline"
    }
    expected = {
        name: words for name, words in stack.COMMANDS.items() if name not in ("migrate", "topics", "markets")
    }
    assert in_compose == expected
    for name in ("migrate", "topics", "markets"):
        assert f"paceline {name}" in SERVICES["init"]["command"][2]
    assert {words[0] for words in stack.COMMANDS.values()} <= COMMANDS.keys()


def test_compose_dependencies_exist() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in SERVICES, name
            if how["condition"] == "service_healthy":
                assert SERVICES[needed]["healthcheck"] != {"disable": True}, (name, needed)
    mounted = {
        v.split(":")[0] for s in SERVICES.values() for v in s.get("volumes", []) if not v.startswith(".")
    }
    assert mounted == COMPOSE["volumes"].keys()


def test_compose_has_no_default_secret_and_binds_ports_to_loopback() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in (*secrets.NAMES, "AIRFLOW_SECRET"):
        uses = re.findall(r"\$\{" + name + r"([^}]*)\}", text)
        assert uses
        assert all(use.startswith(":?") for use in uses)
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_each_container_gets_only_its_own_secrets() -> None:
    names = (*secrets.NAMES, "AIRFLOW_SECRET", "PACELINE_RESEND_API_KEY")
    given = {
        name: {one for one in names if "${" + one in str(service.get("environment", {}))}
        for name, service in SERVICES.items()
    }
    writer, nightly = {"PACELINE_WRITER_DATABASE_PASSWORD"}, {"PACELINE_NIGHTLY_DATABASE_PASSWORD"}
    airflow = nightly | {"PACELINE_AIRFLOW_DATABASE_PASSWORD", "AIRFLOW_SECRET"}
    assert {name: found for name, found in given.items() if found} == {
        "postgres": set(secrets.NAMES) - {"PACELINE_JWT_SECRET"},
        "init": writer | {"PACELINE_POSTGRES_PASSWORD"},
        **dict.fromkeys(("engine", "writer", "router", "bars", "feed"), writer),
        "api": {"PACELINE_API_DATABASE_PASSWORD", "PACELINE_JWT_SECRET", "PACELINE_RESEND_API_KEY"},
        "docs": {"PACELINE_ANALYST_PASSWORD"},
        "nightly": nightly,
        **dict.fromkeys(("airflow-migrate", "airflow-api", "airflow-scheduler", "airflow-dags"), airflow),
    }


def test_no_container_connects_as_the_superuser_of_postgres() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert set(re.findall(r"postgresql(?:\+psycopg2)?://(\w+):", text)) == {
        *("paceline", "api", "writer", "nightly", "analyst", "airflow")
    }


def test_make_help_lists_every_target() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("up", "test", "lint", "bench", "simulate", "airflow-test", "lock", "clean"):
        assert f"make {target} " in done.stdout


@pytest.mark.parametrize(
    ("target", "locks"),
    [
        ("up", ["requirements.txt"]),
        ("bench", ["requirements.txt"]),
        ("test", ["requirements.txt", "requirements-test.txt"]),
        ("lint", ["requirements.txt", "requirements-test.txt"]),
    ],
)
def test_only_tests_and_checks_install_what_only_they_need(
    target: str, locks: list[str], tmp_path: Path
) -> None:
    """In a copy of what make looks at, without an environment."""
    for name in ("Makefile", "pyproject.toml", "requirements.txt", "requirements-test.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    for name in ("local/servers/kafka-jars.lock", "build/engine-compiler.lock"):
        path = tmp_path / "paceline" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    done = subprocess.run(
        ["make", "--dry-run", target], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert re.findall(r"uv\" pip install .* -r (\S+);", done.stdout) == locks


def test_make_up_passes_its_arguments_and_the_terminal() -> None:
    done = subprocess.run(
        [
            "make",
            "--no-print-directory",
            "--dry-run",
            "--old-file=.venv/.installed",
            "up",
            "ARGS=--without airflow",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "exec .venv/bin/paceline up --without airflow"


def test_without_a_suitable_python_make_names_the_needed_versions(tmp_path: Path) -> None:
    """Runs in a copy of the folder, with only basic tools on the path."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "make", "find", "touch"):
        where = subprocess.run(["which", tool], capture_output=True, text=True, check=True).stdout.strip()
        (tools / tool).symlink_to(where)
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tools / "python3").chmod(0o755)
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    lock = tmp_path / "paceline" / "local" / "servers" / "kafka-jars.lock"
    lock.parent.mkdir(parents=True)
    lock.write_bytes((ROOT / "paceline" / "local" / "servers" / "kafka-jars.lock").read_bytes())
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MAKE"))
    }
    done = subprocess.run(
        [str(tools / "make"), "install"],
        cwd=tmp_path,
        env={**environment, "PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Python 3.11, 3.12 or 3.13 is needed" in done.stderr


def test_ci_runs_lint_then_tests_and_stops_at_the_first_failure() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "set -eu"
    assert [line for line in lines if line.startswith("make")] == ["make lint", "make test"]
