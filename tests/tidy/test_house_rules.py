"""The rules of STYLE.md that can be checked mechanically."""

import ast
import re
import subprocess
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from paceline.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("paceline", "api", "stream", "sandbox", "dags", "quality", "migrations", "bench")


def tracked(*suffixes: str) -> list[Path]:
    """Files that git tracks, and new files that are not ignored."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [
        p for name in listing.stdout.splitlines() if (p := ROOT / name).suffix in suffixes and p.is_file()
    ]


def sources() -> list[Path]:
    return [p for p in tracked(".py") if p.relative_to(ROOT).parts[0] in SOURCES]


@pytest.mark.parametrize("folder", ["dbt", "tests"])
def test_folders_that_would_hide_a_package_have_no_init(folder: str) -> None:
    assert not list((ROOT / folder).rglob("__init__.py"))


def test_files_stay_under_500_lines() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in tracked(".py", ".sql")}
    assert {name: n for name, n in lengths.items() if n > 500} == {}


def test_functions_stay_under_70_lines() -> None:
    long = []
    for path in sources():
        limit = 50 if path.is_relative_to(ROOT / "paceline" / "engine") else 70
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > limit:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} {length}")
    assert long == []


def test_every_public_module_has_a_docstring() -> None:
    bare = [
        str(p.relative_to(ROOT)) for p in sources() if ast.get_docstring(ast.parse(p.read_text())) is None
    ]
    assert bare == []


def test_every_port_has_a_contract_suite() -> None:
    """A contract suite is named `test_…_contract.py` and imports its port."""
    ports = {
        (f"paceline.ports.{path.stem}", node.name)
        for path in (ROOT / "paceline" / "ports").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases)
    }
    held = {
        (node.module, alias.name)
        for path in (ROOT / "tests" / "contract").rglob("test_*_contract.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert len(ports) > 15
    assert sorted(ports - held) == []


def test_readme_lists_every_setting_with_its_default() -> None:
    rows = {}
    for line in (ROOT / "README.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 3 and cells[0].startswith(f"`{PREFIX}"):
            rows[cells[0].strip("`")] = (cells[1].strip("`"), cells[2])
    expected = {
        PREFIX + item.name.upper(): (item.metadata["default"], item.metadata["doc"])
        for item in fields(Settings)
    }
    assert rows == expected


def wanted(path: Path) -> set[str]:
    """Names in an `.in` file."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return {re.split(r"[\[<>=~!; ]", line)[0].lower() for line in lines if line and not line.startswith("#")}


def pins(path: Path) -> dict[str, set[str]]:
    """Versions by name in a lock; more than one where they depend on the Python."""
    found: dict[str, set[str]] = {}
    for line in path.read_text().splitlines():
        if pin := re.match(r"([A-Za-z0-9._-]+)==([^ ;]+)", line):
            found.setdefault(pin[1].lower(), set()).add(pin[2])
    return found


LOCKS = sorted(path.stem for path in ROOT.glob("requirements*.in"))


def test_every_lock_has_its_source() -> None:
    assert sorted(path.stem for path in ROOT.glob("requirements*.txt")) == LOCKS
    assert LOCKS == ["requirements", "requirements-test"]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_its_source_names(lock: str) -> None:
    assert wanted(ROOT / f"{lock}.in") - pins(ROOT / f"{lock}.txt").keys() == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_made_from_its_source_as_it_is(lock: str) -> None:
    """A package that came with a name which has left the source must leave the lock, too."""
    named = re.findall(r"-r (?:\S+)", (ROOT / f"{lock}.txt").read_text())
    assert set(named) == {f"-r {lock}.in"}
    assert len(named) == len(wanted(ROOT / f"{lock}.in"))


def test_locks_agree_on_what_they_share() -> None:
    platform, test = pins(ROOT / "requirements.txt"), pins(ROOT / "requirements-test.txt")
    shared = platform.keys() & test.keys()
    assert len(shared) > 20
    assert {name: (platform[name], test[name]) for name in shared if not test[name] <= platform[name]} == {}


def test_no_source_of_the_platform_imports_a_package_of_the_tests() -> None:
    """`make up` does not install them."""
    only = pins(ROOT / "requirements-test.txt").keys() - pins(ROOT / "requirements.txt").keys()
    of_tests = {name.replace("-", "_") for name in only}
    assert {"pytest", "hypothesis", "schemathesis", "nbclient"} <= of_tests
    found = {f"{path.relative_to(ROOT)}: {name}" for path in sources() for name in imported(path) & of_tests}
    assert found == set()


def imported(path: Path) -> set[str]:
    """Top-level packages that a module imports, inside functions too."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    of = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name.split(".")[0] for name in plain | of}


def test_the_changelog_has_the_current_version() -> None:
    from paceline import __version__

    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"] == ["version"]
