"""A typed path means one file, or a line says why it means none."""

from pathlib import Path

import pytest

from icltui.tui.dialogs.file_to_write import file_to_write
from icltui.values.errors import BadInput


def test_a_path_without_an_ending_gets_one() -> None:
    assert file_to_write(" a ", ".csv") == Path("a.csv")
    assert file_to_write("a.txt", ".csv") == Path("a.txt")
    assert file_to_write("~/a", "") == Path.home() / "a"


@pytest.mark.parametrize(("text", "name"), [("a", "a.json"), (" b.json ", "b.json"), ("c.d", "c.d.json")])
def test_a_fixed_ending_is_that_of_every_file(text: str, name: str) -> None:
    assert file_to_write(text, ".json", is_suffix_fixed=True).name == name


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("~nobody-here/x.md", "no user 'nobody-here' here"),
        ("a\0b", "it contains a NUL"),
        (" ", "no name"),
        ("e/", "that is a folder"),
        (".", "that is a folder"),
        ("plain", "that is a folder"),
        ("named", "that is a folder"),
    ],
)
def test_what_means_no_file_says_why(
    text: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("plain", "named.md"):
        Path(folder).mkdir()
    with pytest.raises(BadInput, match=why):
        file_to_write(text, ".md")
