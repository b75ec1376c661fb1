"""The paths that the documentation names exist."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Pathspecs of git, in which `*` also matches `/`. CHANGELOG.md is history and not covered.
COVERED = ("README.md", "ARCHITECTURE.md", "STYLE.md", "CONTRIBUTING.md", "SECURITY.md", "docs/*.md")
FOLDERS = "paceline|api|stream|tests|docs|dbt|dags|sandbox|quality|migrations|bench|docker|notebooks"

_CODE = re.compile(r"```.*?```|`([^`\n]+)`", re.DOTALL)
_PATH = re.compile(rf"(?:{FOLDERS})/[\w.\-/*<>]*")


def paths_in(text: str) -> list[str]:
    """The texts between single backticks that are a path in a folder of this project, in order."""
    return [code for code in _CODE.findall(text) if _PATH.fullmatch(code)]


def exists(path: str) -> bool:
    """Whether a file or folder of that name exists. `*` and `<word>` stand for any part of a name."""
    pattern = re.sub(r"<[^>]*>", "*", path).rstrip("/")
    return next(ROOT.glob(pattern), None) is not None


def test_every_path_in_the_documentation_exists() -> None:
    command = ["git", "ls-files", "--", *COVERED]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    found = [(name, path) for name in names for path in paths_in((ROOT / name).read_text(encoding="utf-8"))]
    assert len(found) > 40
    missing = [f"{name}: {path}" for name, path in found if not exists(path)]
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("see `paceline/core/money.py` and `docs/`", ["paceline/core/money.py", "docs/"]),
        ("`api/<resource>/`, `tests/contract/test_<port>_contract.py`, `dbt/models/*.sql`",
         ["api/<resource>/", "tests/contract/test_<port>_contract.py", "dbt/models/*.sql"]),
        ("`make up`, `paceline up`, `api/v1?x=1`, api/none.py, `GET api/x`", []),
        ("```\napi/none.py\n```\n`stream/app.py`", ["stream/app.py"]),
    ],
)  # fmt: skip
def test_paths_are_what_single_backticks_hold(text: str, paths: list[str]) -> None:
    assert paths_in(text) == paths


def test_a_missing_path_is_noticed() -> None:
    assert exists("paceline/core/money.py")
    assert exists("api/<resource>/routes.py")
    assert not exists("paceline/core/currency.py")
    assert not exists("api/<resource>/views.py")
