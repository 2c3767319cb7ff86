"""The manual: pages that are whole, linked, and as the code is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from icltui.tui.actions import EVERY_ACTION
from tests.docs.blocks import DOCS, PAGES, ROOT, blocks, links, prose, spans, walks
from tests.docs.reference import PAGES as MADE
from tests.docs.reference import STUBS, keys_page, parsers

LONGEST_README = 150
LONGEST_WALK = 8
NAMES_KEYS = ("tutorial", "remote", "terminal")
"""The pages in which a letter as code is a key, and no symbol."""
KEY = re.compile(r"ctrl\+.|F\d+|esc|tab|space|[!-~←→]")


def stem(page: Path) -> str:
    """A page's name, for the name of its test."""
    return page.stem


@pytest.mark.parametrize("topic", MADE)
def test_the_page_is_what_the_code_gives(topic: str) -> None:
    page = (DOCS / f"{topic}.md").read_text("utf-8")
    assert page == MADE[topic](), f"{topic}.md is older than the code: run python -m tests.docs.reference"


@pytest.mark.parametrize("stub", STUBS, ids=stem)
def test_the_stub_is_what_the_code_gives(stub: Path) -> None:
    assert stub.read_text("utf-8") == STUBS[stub](), "run python -m tests.docs.reference"


def test_every_command_and_action_is_in_the_reference() -> None:
    commands = (DOCS / "commands.md").read_text("utf-8")
    for name, parser in parsers().items():
        assert f"## {name}\n" in commands
        for option in parser._option_string_actions:
            assert f"`{option}`" in commands or option in ("-h", "--help", "--version"), (name, option)
    assert all(f"| `{action.id}` |" in keys_page() for action in EVERY_ACTION)


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *(DOCS / f"{topic}.md" for topic in NAMES_KEYS)], ids=stem
)
def test_every_key_in_the_text_exists(page: Path) -> None:
    known = {span.replace("^", "ctrl+") for span in spans(DOCS / "keys.md")}
    named = {span for span in spans(page) if KEY.fullmatch(span)}
    assert named
    assert named <= known


@pytest.mark.parametrize("page", PAGES, ids=stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if not link.startswith("https://"):
            assert (page.parent / link).exists(), link
            assert page.name == "README.md" or Path(link).parent == Path(), (
                f"{link} leads out of what is shipped"
            )


def test_the_readme_is_short_and_names_every_page() -> None:
    readme = ROOT / "README.md"
    assert len(readme.read_text("utf-8").splitlines()) <= LONGEST_README
    named = {link.rpartition("/")[2] for link in links(readme)}
    assert named >= {page.name for page in DOCS.glob("*.md")}


PATH = re.compile(r"(?:icltui|tests|sessions|\.ci)(?:/[\w.*-]+)+/?")


@pytest.mark.parametrize("page", PAGES, ids=stem)
def test_every_path_in_the_text_exists(page: Path) -> None:
    for path in PATH.findall(" ".join(spans(page))):
        assert any(ROOT.glob(path)), path


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "architecture.md"], ids=stem)
def test_the_tree_is_that_of_the_package(page: Path) -> None:
    """Every folder is there; where one of a folder's own is named, all of them are."""
    (tree,) = (block.text for block in blocks(page) if block.text.startswith("icltui/\n"))
    named = {ROOT / folder for folder in folders(tree)}
    assert all(folder.is_dir() for folder in named)
    for parent in {folder.parent for folder in named} - {ROOT}:
        assert {
            child for child in parent.iterdir() if child.is_dir() and child.name != "__pycache__"
        } <= named


def folders(tree: str) -> Iterator[str]:
    """The folders of a drawn tree, whose lines are indented by two for each folder above."""
    above: list[str] = []
    for indent, name in re.findall(r"^( *)(\w+)/", tree, re.MULTILINE):
        above[len(indent) // 2 :] = [name]
        yield "/".join(above)


def test_every_hop_of_the_walks_is_in_the_code() -> None:
    found = walks()
    assert list(found) == ["A row", "A prompt", "A patch"]
    for hops in found.values():
        assert 0 < len(hops) <= LONGEST_WALK
        for path, name in hops:
            assert name in definitions(DOCS.parent / path), (path, name)


def definitions(path: Path) -> set[str]:
    """The functions and classes of a file, those of a class behind its name."""
    found: set[str] = set()

    def visit(body: list[ast.stmt], above: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(above + node.name)
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{above}{node.name}.")

    visit(ast.parse(path.read_text("utf-8")).body, "")
    return found


@pytest.mark.parametrize("page", PAGES[1:], ids=stem)
def test_every_page_has_one_title(page: Path) -> None:
    heads = [line for line in prose(page).splitlines() if line.startswith("# ")]
    assert page.read_text("utf-8").startswith("# ")
    assert len(heads) == 1
