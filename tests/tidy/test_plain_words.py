"""Words that the sources, tests and documentation must not contain."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = {"nobody", "somebody", "everybody", "whoever", "anew", "told", "wishes", "obituary"}
# Pathspecs of git, in which `*` also matches `/`. CHANGELOG.md is history and not covered.
COVERED = ("*.py", "README.md", "ARCHITECTURE.md", "STYLE.md", "CONTRIBUTING.md", "SECURITY.md", "docs/*.md")
EXCEPTIONS = {"tests/tidy/test_plain_words.py", "docs/glossary.md"}
# The Unix user of that name, and nothing else.
ALLOWED = {("paceline/local/servers/postgres.py", "nobody")}

# Words of a text, and parts of names: `told_format`, `_of_nobody`, `NOBODY` and `UpWishes` contain one each.
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def forbidden_in(text: str) -> list[tuple[int, str]]:
    """`(line number, word)` of each forbidden word."""
    return [
        (number, word)
        for number, line in enumerate(text.splitlines(), 1)
        for word in _WORD.findall(line)
        if word.lower() in FORBIDDEN
    ]


def covered_files() -> list[str]:
    """Files that git tracks, and new files that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *COVERED]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    names = sorted(set(listing.stdout.splitlines()) - EXCEPTIONS)
    return [name for name in names if (ROOT / name).is_file()]


def test_no_file_contains_a_forbidden_word() -> None:
    files = covered_files()
    assert {"README.md", "paceline/cli.py"} <= set(files)
    found = [
        f"{name}:{number} {word}"
        for name in files
        for number, word in forbidden_in((ROOT / name).read_text(encoding="utf-8"))
        if (name, word) not in ALLOWED
    ]
    assert not found, f"{len(found)} forbidden words:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("It is opened anew, Whoever asks.", ["anew", "Whoever"]),
        ("def told_format(_of_nobody, NOBODY_1): ...", ["told", "nobody", "NOBODY"]),
        ("class UpWishes(Told): ...", ["Wishes", "Told"]),
        ("self._obituary = somebody_else", ["obituary", "somebody"]),
        ("foretold, wish, renewal, body, TOLDO", []),
    ],
)
def test_forbidden_words_are_found_in_text_and_names(line: str, words: list[str]) -> None:
    assert forbidden_in(f"first\n{line}\n") == [(2, word) for word in words]
