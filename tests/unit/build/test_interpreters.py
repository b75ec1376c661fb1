"""Which Python `make` uses for the installation."""

import subprocess
import sys
from pathlib import Path

import pytest

from paceline.build import interpreters
from paceline.build.interpreters import Found, choose, probe, weighed


def found(name: str, work_ms: float, *, has_headers: bool = True) -> Found:
    return Found(f"/{name}", f"/{name}", (3, 11, 2), has_headers, work_ms / 1000)


def test_the_first_python_is_used_unless_another_is_clearly_faster() -> None:
    first = found("first", 4.0)
    assert choose([first]) is first
    assert choose([first, found("hardly", 3.7)]) is first
    faster = found("faster", 3.0)
    assert choose([first, found("slower", 5.0), faster]) is faster


def test_a_python_that_can_compile_the_engine_is_preferred() -> None:
    first, faster = found("first", 4.0), found("faster", 2.0, has_headers=False)
    assert choose([first, faster]) is first
    assert choose([faster, first]) is first
    assert choose([faster, found("other", 3.0, has_headers=False)]) is faster


def test_this_python_is_accepted_and_a_broken_one_is_not(tmp_path: Path) -> None:
    one = probe(sys.executable)
    assert one is not None
    assert one.version == sys.version_info[:3]
    assert one.work_s > 0
    assert str(one).startswith(f"Python 3.{sys.version_info[1]}.")
    broken = tmp_path / "python3"
    broken.write_text("#!/bin/sh\necho no\n")
    broken.chmod(0o755)
    assert probe(str(broken)) is None
    assert probe(str(tmp_path / "none")) is None


def test_a_too_old_python_is_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreters, "OLDEST", (4, 0))
    assert probe(sys.executable) is None


def test_the_same_python_is_listed_once(tmp_path: Path) -> None:
    again = tmp_path / "again"
    again.symlink_to(sys.executable)
    assert len(weighed([sys.executable, str(again), sys.executable])) == 1


def test_the_command_prints_a_path_or_the_missing_version(tmp_path: Path) -> None:
    done = run(sys.executable)
    assert done.returncode == 0
    assert probe(done.stdout.strip()) is not None
    done = run(str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "is not a Python 3.11, 3.12 or 3.13 with venv" in done.stderr


def run(argument: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, interpreters.__file__, argument]
    return subprocess.run(command, capture_output=True, text=True, check=False)
