"""Tables as plain text: titles and cells are texts, whatever brackets they hold."""

import pytest

from icltui.report.joined_patch import joined_text
from icltui.text.tables import numbers, phrases, render, table, words
from tests.joined_patches import JOINED

TITLES = ("by [/INST]", "[red]x[/red]", "[/]")


@pytest.mark.parametrize("kind", [words, phrases, lambda title: numbers(title)[0]])
@pytest.mark.parametrize("title", TITLES)
def test_a_title_is_no_markup(kind, title: str) -> None:
    assert title in render([table([kind(title)], [["cell of some width"]])], 80)


def test_an_adapter_is_called_as_its_folder_is() -> None:
    assert joined_text(JOINED, 100).count("[/b]") >= 3
