"""Every command in the README and the manual does what the page says: run where it can be, parsed where it cannot."""

import re
import tomllib
from pathlib import Path

import pytest

from icltui.cli.main import main
from icltui.cli.parser import parse
from icltui.storage.config import read_config
from icltui.tui.system.keymap import keymap
from tests.docs.blocks import (
    PAGES,
    PYTHON,
    PYTHON_SLOWLY,
    READ,
    RUN,
    RUN_SLOWLY,
    blocks,
    commands,
    own_words,
    spans,
)
from tests.docs.reference import parsers

LANGUAGES = {RUN, RUN_SLOWLY, PYTHON, PYTHON_SLOWLY, *READ, "text", "toml", "sql", "json"}
OTHERS = {"python3", ".venv/bin/pip", ".venv/bin/pytest", "pytest"}
"""What the pages run besides icltui: the installation and the tests, which the continuous integration runs whole."""
FOREIGN = {
    "--ntasks",
    "--pty",
    "--kills",
    "--texts",
    "--sizes",
    "--damaged",
    "--lora",
    "--lora-scaled",
    "--merge",
}
"""Options of Slurm, llama.cpp and the tests that the pages name."""
VARIABLE = re.compile(r"[A-Z_]+=")
"""A variable of the environment that is set before a command."""
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_says_what_it_is(page: Path) -> None:
    assert {block.language for block in blocks(page)} <= LANGUAGES
    assert page.read_text("utf-8").count("```") == 2 * len(list(blocks(page)))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_runs(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the page's order and in one folder, as one command may read what another wrote; each once over all pages."""
    earlier = [words for other in PAGES[: PAGES.index(page)] for words in said(other, RUN)]
    for words in said(page, RUN):
        if words not in earlier:
            run(words, capsys)


@pytest.mark.soak
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_slow_command_runs(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in said(page, RUN_SLOWLY):
        run(words, capsys)


def said(page: Path, *languages: str) -> list[list[str]]:
    """The words of every command in the page's blocks of some languages."""
    return [
        words
        for block in blocks(page)
        if block.language in languages
        for line in block.lines
        for words in commands(line)
    ]


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Run a command of ours in this process, to its end and without a complaint."""
    assert words[0] == "icltui", words
    code = main(words[1:])
    output = capsys.readouterr()
    assert code == 0, (words, output.err)
    assert "icltui: " not in output.err, (words, output.err)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_other_command_is_understood(page: Path) -> None:
    for words in said(page, *READ):
        own = list(own_words(words))
        assert own or next(word for word in words if not VARIABLE.match(word)) in OTHERS, words
        for argv in own:
            parse(argv)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_option_in_the_text_exists(page: Path) -> None:
    """Options of a span that begins with a command are that command's; others are those of any."""
    found = {name: set(parser._option_string_actions) for name, parser in parsers().items()}
    known = set().union(*found.values()) | FOREIGN
    for span in spans(page):
        if span.startswith(("pip ", "pytest ", "set ")):
            continue
        assert set(OPTION.findall(span)) <= known, span
        words = span.split()
        if words[0] == "icltui" and len(words) > 1 and words[1].isalpha() and words[1].islower():
            assert any(name.startswith(" ".join(words[:2])) for name in found), span


def test_every_config_file_is_without_faults(tmp_path: Path) -> None:
    texts = [block.text for page in PAGES for block in blocks(page) if block.language == "toml"]
    assert texts
    for text in texts:
        path = tmp_path / "config.toml"
        path.write_text(text, "utf-8")
        config, faults = read_config(path)
        assert not faults
        assert not keymap(config.keys)[1]
        assert set(tomllib.loads(text)) <= set(config.__struct_fields__)
