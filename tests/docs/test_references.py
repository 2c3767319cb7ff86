"""Docstrings lead to what exists: each reference is a full path, or a name that the code binds."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name

import pytest

PACKAGE = Path(__file__).parents[2] / "icltui"
REFERENCE = re.compile(r":(?:mod|class|func|meth|attr|data|exc):`~?([^`]+)`")
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if REFERENCE.search(path.read_text())]


def bound(node: ast.AST) -> Iterator[str]:
    """The names that a piece of code gives to something."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield name
        case ast.alias(name=name, asname=other):
            yield other or name


def names_of(path: Path) -> frozenset[str]:
    return frozenset(name for node in ast.walk(ast.parse(path.read_text())) for name in bound(node))


NAMES = {path: names_of(path) for path in PACKAGE.rglob("*.py")}
ALL_NAMES = frozenset().union(*NAMES.values())


def exists(reference: str, path: Path) -> bool:
    """Whether it is a full path, a name that the file binds, or, after a dot, one that any file does."""
    parts = reference.strip(".").split(".")
    if reference.startswith("icltui."):
        for n in range(len(parts), 0, -1):
            stem = PACKAGE.parent.joinpath(*parts[:n])
            for file in (stem.with_suffix(".py"), stem / "__init__.py"):
                if file in NAMES:
                    return NAMES[file].issuperset(parts[n:])
    if (ALL_NAMES if reference.startswith(".") else NAMES[path]).issuperset(parts):
        return True
    try:
        resolve_name(reference if "." in reference else f"builtins.{reference}")
    except (ImportError, AttributeError, ValueError):
        return False
    return True


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_a_docstring_refers_to_exists(path: Path) -> None:
    assert not [one for one in REFERENCE.findall(path.read_text()) if not exists(one, path)]
