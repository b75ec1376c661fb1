"""Secrets, logs, checks and the list of services: parts of the stack that need no running server."""

import hashlib
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from paceline.adapters.redis.operations import merge_heartbeats
from paceline.core.errors import ValidationError
from paceline.local import doctor
from paceline.local.doctor import Level
from paceline.local.processes import logs
from paceline.local.processes.ports import free_port, is_free, taken
from paceline.local.servers import jars, postgres
from paceline.local.servers.server import ServerFailed, last_line
from paceline.local.stack import airflow, secrets, status
from paceline.local.stack import services as stack
from paceline.settings import Settings, load
from tests.support.servers import open_folder


@pytest.fixture
def settings() -> Iterator[Settings]:
    """Settings of a stack on free ports, in a folder that the user of Postgres can enter."""
    folder = open_folder()
    numbers = [name for name in Settings.__dataclass_fields__ if name.endswith("_port")]
    ports = {f"PACELINE_{name.upper()}": str(free_port()) for name in numbers}
    given = {"PACELINE_VAR_DIR": str(folder / "var"), "PACELINE_JWT_SECRET": "x" * 32, **ports}
    yield load(given, folder)
    shutil.rmtree(folder)


def test_instances_of_a_service_are_merged_with_all_their_shards() -> None:
    dead = {"pid": 1, "at_us": 10, "state": "running", "shards": {"0": {"lag": 9}, "1": {"lag": 9}}}
    alive = {"pid": 2, "at_us": 20, "state": "running", "shards": {"1": {"lag": 0}, "2": {"lag": 3}}}
    whole = merge_heartbeats([alive, dead])
    assert whole["pid"] == 2
    assert whole["shards"] == {"0": {"lag": 9}, "1": {"lag": 0}, "2": {"lag": 3}}
    assert merge_heartbeats([{"pid": 3, "at_us": 1}]) == {"pid": 3, "at_us": 1}
    assert merge_heartbeats([]) == {}


def test_secrets_are_made_once_and_readable_by_the_owner_only(tmp_path: Path) -> None:
    secrets.ensure(tmp_path)
    path = tmp_path / "secrets.env"
    first = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [line.partition("=")[0] for line in first.splitlines()] == list(secrets.NAMES)
    assert len({line.partition("=")[2] for line in first.splitlines()}) == len(secrets.NAMES)
    secrets.ensure(tmp_path)
    assert path.read_text() == first


def test_an_existing_secret_is_kept_and_missing_ones_are_added(tmp_path: Path) -> None:
    (tmp_path / "secrets.env").write_text("PACELINE_POSTGRES_PASSWORD=mine")
    secrets.ensure(tmp_path)
    lines = (tmp_path / "secrets.env").read_text().splitlines()
    assert lines[0] == "PACELINE_POSTGRES_PASSWORD=mine"
    assert len(lines) == len(secrets.NAMES)


def test_a_large_log_is_rotated_while_it_is_written(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old\n" * 10)
        assert logs.trim(log, limit_bytes=100) is False
        assert logs.trim(log, limit_bytes=20) is True
        writer.write(b"new\n")
    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "engine.log.1").read_bytes() == b"old\n" * 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("first\nlast\n\n", "last"),
        ("what is wrong\n╰────────╯\n", "what is wrong"),
        ("", "its log is empty"),
    ],
)
def test_the_last_line_with_text_is_returned(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.log").write_text(text)
    assert last_line(tmp_path / "x.log") == said
    assert last_line(tmp_path / "absent.log") == "its log is empty"


def test_a_port_in_use_is_reported_with_its_process() -> None:
    import socket

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert not is_free(port)
        me = psutil.Process()
        assert taken(port, "postgres_port") == (
            f"port {port} is taken by PID {me.pid} ({me.name()}): stop it, or set PACELINE_POSTGRES_PORT"
        )
    assert taken(port, "postgres_port") is None


def test_doctor_names_the_remedy(settings: Settings) -> None:
    assert doctor.python((3, 10)).level is Level.ERROR
    assert doctor.python((3, 14)).level is Level.ERROR
    assert doctor.python(sys.version_info[:2]).level is Level.OK
    little = doctor.memory(1024**3, with_airflow=True)
    assert little.level is Level.WARNING
    assert "--without airflow" in little.message
    assert doctor.memory(8 * 1024**3, with_airflow=True).level is Level.OK
    services = stack.services(settings, stack.UpOptions())
    findings = doctor.check(settings, services)
    assert not doctor.has_errors(findings), findings


def test_doctor_names_each_port_in_use(settings: Settings) -> None:
    import socket

    services = stack.services(settings, stack.UpOptions())
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", settings.api_port))
        holder.listen()
        [finding] = doctor.free_ports(services)
    assert finding.subject == "api"
    assert finding.level is Level.ERROR
    assert finding.message.endswith("PACELINE_API_PORT")


def test_a_folder_that_postgres_may_not_enter_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "data").mkdir(parents=True)
    closed.chmod(0o700)
    with pytest.raises(ServerFailed, match=r"may not enter \S+: `chmod o\+x"):
        postgres.check_reachable(closed / "data", "daemon")


def test_programs_that_the_postgres_user_cannot_reach_are_copied_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wheel").mkdir(mode=0o700)
    program = tmp_path / "wheel" / "server" / "bin" / "postgres"
    for path in (program, tmp_path / "wheel" / "server.libs" / "lib.so"):
        path.parent.mkdir(parents=True)
        path.write_text(path.name)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    copy = postgres.reachable_copy(tmp_path / "wheel" / "server", "1.0")
    assert (copy / "bin" / "postgres").read_text() == "postgres"
    assert (copy.parent / "server.libs" / "lib.so").exists()
    assert copy.parent.stat().st_mode & 0o777 == 0o755
    program.write_text("another")
    assert postgres.reachable_copy(tmp_path / "wheel" / "server", "1.0") == copy
    assert (copy / "bin" / "postgres").read_text() == "postgres"
    assert list(temporary.iterdir()) == [copy.parent]

    shutil.rmtree(copy.parent)
    copy.parent.symlink_to(tmp_path / "wheel")
    with pytest.raises(ServerFailed, match="belongs to another user"):
        postgres.reachable_copy(tmp_path / "wheel" / "server", "1.0")


def test_every_jar_is_locked_by_its_hash() -> None:
    found = jars.locked()
    assert {jar.version for jar in found if jar.group == "org.apache.kafka"} == {"4.1.0"}
    assert len({jar.file_name for jar in found}) == len(found)
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) for jar in found)


def test_the_installed_jars_are_those_of_the_lock() -> None:
    sample = next(jar for jar in jars.locked() if jar.artifact == "kafka-raft")
    content = (jars.folder() / sample.file_name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == sample.sha256
    assert jars.missing() == []


def test_services_need_only_services_that_start_before_them(settings: Settings) -> None:
    started: set[str] = set()
    for service in stack.services(settings, stack.UpOptions()):
        assert set(service.needs) <= started, service.name
        started.add(service.name)


def test_without_excludes_whole_groups(settings: Settings) -> None:
    everything = {service.name for service in stack.services(settings, stack.UpOptions())}
    assert {"postgres", "kafka", "engine", "api", "airflow-scheduler", "nightly", "traders"} <= everything
    lean = {s.name for s in stack.services(settings, stack.UpOptions(without=("airflow", "traders")))}
    assert lean == {n for n in everything if not n.startswith("airflow")} - {"nightly", "traders"}
    with pytest.raises(ValidationError, match="there is no such service"):
        stack.services(settings, stack.UpOptions(without=("postgresql",)))


def test_a_server_with_an_external_url_is_not_started(settings: Settings, tmp_path: Path) -> None:
    elsewhere = load(
        {
            "PACELINE_POSTGRES_URL": "postgresql://u:p@db/x",
            "PACELINE_FEED_URL": "wss://exchange.example",
            "PACELINE_DEMO_TRADERS": "0",
        },
        tmp_path,
    )
    names = {service.name for service in stack.services(elsewhere, stack.UpOptions())}
    assert not {"postgres", "exchange", "traders"} & names
    assert airflow.database_url(elsewhere) == "postgresql+psycopg2://airflow@db/airflow"


def test_a_service_gets_the_secrets_that_it_needs_and_no_other(tmp_path: Path) -> None:
    secrets.ensure(tmp_path / "var")
    settings = load({}, tmp_path)
    values = {name: line for name, _, line in (x.partition("=") for x in _lines(tmp_path))}
    assert values.keys() == set(secrets.NAMES)
    got: dict[str, set[str]] = {}
    for service in stack.services(settings, stack.UpOptions()):
        texts = "\n".join((secrets.none() | dict(service.environment)).values())
        got[service.name] = {name for name, value in values.items() if value in texts}
    owner, api = {"PACELINE_POSTGRES_PASSWORD"}, {"PACELINE_API_DATABASE_PASSWORD", "PACELINE_JWT_SECRET"}
    writer, nightly = {"PACELINE_WRITER_DATABASE_PASSWORD"}, {"PACELINE_NIGHTLY_DATABASE_PASSWORD"}
    own = {"PACELINE_AIRFLOW_DATABASE_PASSWORD"}
    assert {name: found for name, found in got.items() if found} == {
        "migrate": owner,
        "api": api,
        **dict.fromkeys(("markets", "engine", "writer", "router", "bars", "feed"), writer),
        "docs": {"PACELINE_ANALYST_PASSWORD"},
        "nightly": nightly,
        **dict.fromkeys(("airflow-migrate", "airflow-api"), own),
        **dict.fromkeys(("airflow-scheduler", "airflow-dags"), own | nightly),
    }


def test_a_service_finds_no_other_secret_in_the_files(tmp_path: Path) -> None:
    """As a service does: with the environment that `paceline up` gives it, in the same folders."""
    secrets.ensure(tmp_path / "var")
    (tmp_path / ".env").write_text("PACELINE_RESEND_API_KEY=re_secret\n")
    whole = load({}, tmp_path)
    engine = load(secrets.none() | secrets.of_service(whole, "engine"), tmp_path)
    assert engine.database_url_of("writer") == whole.database_url_of("writer")
    hidden = (engine.postgres_password, engine.jwt_secret, engine.resend_api_key, engine.superuser_password)
    assert [secret.reveal() for secret in hidden] == ["", "", "", ""]
    assert whole.resend_api_key.reveal() == "re_secret"


def _lines(folder: Path) -> list[str]:
    return (folder / "var" / "secrets.env").read_text().splitlines()


def test_airflow_listens_on_loopback_whatever_the_bind_host_is(tmp_path: Path) -> None:
    open_host = load({"PACELINE_BIND_HOST": "0.0.0.0"}, tmp_path)
    have = airflow.environment(open_host, Path("/checkout"))
    assert have["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert have["AIRFLOW__API__BASE_URL"].startswith("http://127.0.0.1:")


def test_airflow_gets_its_own_secrets(settings: Settings) -> None:
    have = airflow.environment(settings, Path("/checkout"))
    derived = {have["AIRFLOW__API_AUTH__JWT_SECRET"], have["AIRFLOW__API__SECRET_KEY"]}
    assert len(derived) == 2
    assert settings.jwt_secret.reveal() not in "".join(have.values())
    assert have["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] == "False"


def test_status_reports_the_form_of_the_engine() -> None:
    shards = {"0": {"form": "compiled"}, "1": {"form": "compiled"}, "2": {"lag": 0}}
    assert status.engine_form({"engine": {"shards": shards}}) == "compiled"
    shards["1"] = {"form": "plain Python"}
    assert status.engine_form({"engine": {"shards": shards}}) == "compiled, plain Python"
    assert status.engine_form({}) is None
