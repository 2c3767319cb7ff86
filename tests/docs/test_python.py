"""Every example of the manual's Python, run in its page's order; what it prints is what the page shows."""

import doctest
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, PYTHON, PYTHON_SLOWLY, blocks

OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.REPORT_NDIFF
WITH_PYTHON = [page for page in PAGES if any(block.language == PYTHON for block in blocks(page))]


def run(page: Path, *languages: str) -> doctest.TestResults:
    text = "\n".join(block.text for block in blocks(page) if block.language in languages)
    parsed = doctest.DocTestParser().get_doctest(text, {}, page.stem, str(page), 0)
    assert parsed.examples
    return doctest.DocTestRunner(optionflags=OPTIONS).run(parsed)


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.stem)
def test_every_example_gives_what_the_page_says(page: Path, folder: Path) -> None:
    assert folder == Path.cwd()
    assert run(page, PYTHON).failed == 0


@pytest.mark.soak
@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.stem)
def test_every_slow_example_gives_what_the_page_says(page: Path, folder: Path) -> None:
    assert folder == Path.cwd()
    assert run(page, PYTHON, PYTHON_SLOWLY).failed == 0
