"""The rules of STYLE.md that can be checked mechanically."""

import ast
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
    assert list(rows.items()) == list(expected.items()), "same settings in the same order"


def test_the_changelog_has_the_current_version() -> None:
    from paceline import __version__

    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"] == ["version"]
