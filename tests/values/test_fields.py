"""Every field of a value and of a message says what it holds, or is of a type that does."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import icltui
from icltui import values
from icltui.values import bounds

PACKAGE = Path(icltui.__file__).parent
MODULES = [*sorted((PACKAGE / "values").glob("*.py")), PACKAGE / "api" / "messages.py"]
SPEAKING = {*values.__all__, "Prompt", "Recipe", "Sampling", "LoadModel", "DeviceMap", "Positions"} | {
    "Mode",
    "Components",
    "Control",
}
"""Types whose own docstrings say it."""


def undocumented(tree: ast.Module) -> Iterator[str]:
    """The fields that neither a docstring nor their type explains."""
    for kind in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for field, after in zip(kind.body, [*kind.body[1:], None], strict=True):
            is_said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if isinstance(field, ast.AnnAssign) and not is_said:
                names = set(ast.unparse(field.annotation).split(" | "))
                if not names - {"None"} <= SPEAKING:
                    yield f"{kind.name}.{ast.unparse(field.target)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_field_has_a_docstring(path: Path) -> None:
    assert not list(undocumented(ast.parse(path.read_text(encoding="utf-8"))))


def test_a_number_does_not_speak_for_itself() -> None:
    assert not SPEAKING & set(vars(bounds))
    bare = "class A:\n    n: TokenCount\n    m: int\n    'how many'\n    path: Path | None\n"
    assert list(undocumented(ast.parse(bare))) == ["A.n"]
