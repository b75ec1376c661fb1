"""The plain Python and the compiled engine give the same results; a build is used for its sources only."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from paceline.build import compiled, engine_build
from paceline.core.errors import PermanentError, ValidationError
from paceline.local import doctor
from paceline.local.doctor import Level

ROOT = Path(__file__).resolve().parents[3]
FORMS = {"python": "plain Python", "compiled": "compiled"}
OTHER = "compiled" if compiled.in_use() is None else "python"


def can_compile() -> bool:
    try:
        engine_build.check_machine()
    except engine_build.BuildFailed:
        return False
    return True


needs_compiler = pytest.mark.skipif(not can_compile(), reason="there is no C compiler here, so one form only")


def run(*arguments: str, form: str, root: Path = ROOT) -> str:
    """Output of a Python process that uses one form of the engine, from the package in `root`."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env={**os.environ, "PACELINE_ENGINE": form, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@needs_compiler
def test_both_forms_give_the_same_outputs_snapshots_and_hashes() -> None:
    """Uses a scenario with every kind of message."""
    results: dict[str, dict[str, Any]] = {
        form: json.loads(run("-m", "tests.support.engine_outputs", "21", form=form)) for form in FORMS
    }
    assert {form: one.pop("form") for form, one in results.items()} == FORMS
    assert results["python"] == results["compiled"]
    assert sum(map(len, results["python"]["outputs"])) > 1_000


@needs_compiler
def test_the_other_form_passes_the_tests_of_this_one() -> None:
    """Runs the engine tests with the other form, then some seeds against the reference."""
    here = Path(__file__).parent
    files = [str(path) for path in sorted(here.glob("test_*.py")) if path != Path(__file__)]
    passed = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *files, form=OTHER)
    assert " passed" in passed
    options = ("--first", "60", "--seeds", "2", "--messages", "400", "--jobs", "1")
    assert "all agree" in run("-m", "tests.support.simulate", *options, form=OTHER)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package that a test can change."""
    shutil.copytree(ROOT / "paceline", tmp_path / "paceline", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def loaded(root: Path) -> tuple[str, str]:
    """The form of the engine and the file of its `numbers` module."""
    text = "from paceline.build import compiled; from paceline.engine import numbers; "
    form, file = run(
        "-c", text + "print(compiled.form()); print(numbers.__file__)", form="auto", root=root
    ).split("\n")[:2]
    return form, file


@needs_compiler
@pytest.mark.parametrize(
    "changed", ["engine/numbers.py", "core/money.py", "messages/inbound.py", "build/engine_compiler.py"]
)
def test_a_build_is_used_for_its_own_sources_only(copy: Path, changed: str) -> None:
    form, file = loaded(copy)
    assert form == "compiled"
    assert Path(file).parent == compiled.builds() / compiled.key() / "paceline" / "engine"
    with (copy / "paceline" / changed).open("a", encoding="utf-8") as source:
        source.write("\n# changed\n")
    assert loaded(copy) == ("plain Python", str(copy / "paceline" / "engine" / "numbers.py"))


def test_a_requested_build_that_does_not_exist_raises(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(compiled, "builds", lambda: tmp_path)
    choose = compiled.in_use.__wrapped__
    for choice in ("auto", "python"):
        monkeypatch.setenv("PACELINE_ENGINE", choice)
        assert choose() is None
    monkeypatch.setenv("PACELINE_ENGINE", "compiled")
    with pytest.raises(PermanentError, match="paceline install"):
        choose()
    (tmp_path / compiled.key()).mkdir()
    assert choose() == tmp_path / compiled.key()
    monkeypatch.setenv("PACELINE_ENGINE", "fast")
    with pytest.raises(
        ValidationError, match="PACELINE_ENGINE: 'fast': must be one of auto, compiled, python"
    ):
        choose()


def test_without_a_compiler_the_engine_stays_plain_python(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(compiled, "builds", lambda: tmp_path)
    monkeypatch.setenv("CC", "no-such-compiler -pthread")
    said = engine_build.install()
    assert said.startswith("plain Python, with the same results")
    assert "no C compiler (`no-such-compiler`)" in said
    assert list(tmp_path.iterdir()) == []


@needs_compiler
def test_a_failed_build_leaves_only_its_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text("no requirement at all\n")
    monkeypatch.setattr(compiled, "builds", lambda: tmp_path / "builds")
    monkeypatch.setattr(compiled, "COMPILER_LOCK", lock)
    said = engine_build.install()
    assert said.startswith("plain Python")
    assert "the compiler cannot be downloaded: " in said
    assert "no requirement at all" in (tmp_path / "builds" / ".failed.log").read_text(encoding="utf-8")
    assert [path.name for path in (tmp_path / "builds").iterdir()] == [".failed.log"]


def test_doctor_reports_the_form() -> None:
    finding = doctor.engine()
    assert finding.level is Level.OK
    assert finding.message.startswith(compiled.form())
