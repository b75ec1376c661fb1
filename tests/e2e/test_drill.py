"""A short drill from the command line: every service is killed and paused once while members trade."""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from paceline.drill.schedule import SERVICES
from paceline.local.stack.throwaway import PACELINE

SEED = 20


def test_a_short_drill_finds_no_losses_and_no_duplicates(tmp_path: Path) -> None:
    report_file = tmp_path / "report.json"
    arguments = ["--seed", str(SEED), "--until", ",".join(f"{service}=1" for service in SERVICES)]
    done = subprocess.run(
        [PACELINE, "drill", *arguments, "--at-once", "3", "--report", str(report_file)],
        capture_output=True,
        text=True,
        timeout=420,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(report_file.read_text())
    hits = {(hit["service"], hit["kind"]) for hit in report["hits"]}
    assert hits == {(service, kind) for service in SERVICES for kind in ("kill", "pause")}
    assert report["sent"]["accepted"] > 50
    assert all(check["passed"] for check in report["checks"])


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A temporary folder that the user of Postgres can enter, unlike pytest's `tmp_path`."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_drill_stopped_by_sigterm_removes_its_files(open_folder: Path) -> None:
    process = subprocess.Popen(
        [PACELINE, "drill", "--seed", "1", "--seconds", "300"],
        env={**os.environ, "TMPDIR": str(open_folder)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        assert any("kills:" in line for line in process.stderr)
        assert [folder.name.startswith("paceline-") for folder in open_folder.iterdir()] == [True]
        process.terminate()
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 128 + signal.SIGTERM
    assert not list(open_folder.iterdir())
