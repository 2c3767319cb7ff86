"""CONTRIBUTING leads nowhere but to files, and to names in them, that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / ".github/CONTRIBUTING.md").read_text()
PROSE = " ".join(re.sub(r"^```.*?^```", "", TEXT, flags=re.DOTALL | re.MULTILINE).split())
TOP = {path.name for path in ROOT.iterdir()} - {".venv"}
QUOTED = {word.split()[0] for word in re.findall(r"`([^`]+)`", PROSE)}
PATHS = sorted(
    {word for word in QUOTED if word.split("/")[0] in TOP} | {*re.findall(r"\btests/[\w./]+\w", TEXT)}
)
NAMES = re.findall(r"`(\w+)` in `([\w./]+\.py)`", PROSE)
HEADINGS = re.findall(r"\"([^\"]+)\" in `([\w./]+\.md)`", PROSE)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_exists(path: str) -> None:
    assert (ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).exists()


@pytest.mark.parametrize(("name", "path"), NAMES)
def test_a_name_is_in_its_file(name: str, path: str) -> None:
    assert re.search(rf"^(class|def|)\s*{name}\b", (ROOT / path).read_text(), re.MULTILINE)


@pytest.mark.parametrize(("heading", "path"), HEADINGS)
def test_a_heading_is_in_its_page(heading: str, path: str) -> None:
    assert f"\n## {heading}\n" in (ROOT / path).read_text()


def test_each_guide_has_five_steps_and_names_files() -> None:
    guides = re.findall(r"## Add a (\w+) (.+?)(?=## |$)", PROSE)
    assert [name for name, _ in guides] == ["measure", "study", "pane", "family"]
    for _, guide in guides:
        assert re.findall(r" (\d)\. ", guide) == list("12345")
        assert len(re.findall(r"`icltui/[\w/]+\.py`", guide)) >= 3
