"""The engine package uses no clock, randomness, I/O or floats, and its functions are short."""

import ast
from pathlib import Path

import pytest

import paceline.engine

MODULES = sorted(Path(paceline.engine.__file__).parent.glob("*.py"))
FORBIDDEN = {
    "asyncio",
    "datetime",
    "decimal",
    "fractions",
    "io",
    "math",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "statistics",
    "subprocess",
    "sys",
    "threading",
    "time",
    "uuid",
}


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_the_engine_imports_no_impure_module(path: Path) -> None:
    roots: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            roots |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            roots.add(node.module.split(".")[0])
    assert not roots & FORBIDDEN


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_the_engine_uses_integers_only(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        where = f"{path.name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, (ast.BinOp, ast.AugAssign)):
            assert not isinstance(node.op, ast.Div), f"true division at {where}"
        if isinstance(node, ast.Constant):
            assert not isinstance(node.value, (float, complex)), f"a float at {where}"
        if isinstance(node, ast.Name):
            assert node.id not in {"float", "hash", "open", "input", "print"}, f"{node.id} at {where}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_functions_and_files_stay_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 500
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
            assert node.end_lineno - node.lineno < 50, f"{path.name}: {node.name}"


def test_the_module_list_is_not_empty() -> None:
    assert len(MODULES) > 10
