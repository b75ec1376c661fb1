"""A short drill, run as people run it: every service killed and paused once while members trade."""

import json
import subprocess
from pathlib import Path

from paceline.drill.schedule import SERVICES
from paceline.local.throwaway import PACELINE

SEED = 20


def test_a_short_drill_finds_nothing_lost_and_nothing_twice(tmp_path: Path) -> None:
    report_file = tmp_path / "report.json"
    arguments = ["--seed", str(SEED), "--until", ",".join(f"{service}=1" for service in SERVICES)]
    done = subprocess.run(
        [PACELINE, "drill", *arguments, "--at-once", "3", "--json", str(report_file)],
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
