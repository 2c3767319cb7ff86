"""Themes by the right of whoever asks, animation and blinking by the line that one sits at."""

import asyncio

import pytest
from textual.widgets import Input

from icltui.api.messages import LoadModel
from icltui.storage.config import Config
from icltui.tui.app import IcltuiApp
from icltui.tui.dialogs.palette import Palette
from icltui.tui.system.apply_settings import (
    check_theme,
    choose_theme,
    known_themes,
    remember_theme,
    remembered_theme,
)
from icltui.values.errors import BadInput
from tests.tui import samples
from tests.tui.conftest import open_desk
from tests.tui.fake_client import FakeClient

NORD = Config(theme="nord")


@pytest.mark.parametrize(
    ("asked", "environment", "config", "remembered", "theme"),
    [
        ("", "", Config(), "", "icltui-dark"),
        ("", "", Config(), "monokai", "monokai"),
        ("", "", NORD, "monokai", "nord"),
        ("", "dracula", NORD, "monokai", "dracula"),
        ("gruvbox", "dracula", NORD, "monokai", "gruvbox"),
        ("", "", Config(), "gone-with-a-plugin", "icltui-dark"),
        ("", " , flexoki", NORD, "", "flexoki"),
    ],
)
def test_whose_theme_it_is(
    monkeypatch: pytest.MonkeyPatch, asked: str, environment: str, config: Config, remembered: str, theme: str
) -> None:
    monkeypatch.setenv("TEXTUAL_THEME", environment)
    remember_theme(remembered)
    assert choose_theme(asked, config, known_themes()) == (theme, ())


def test_unknown_themes_are_passed_over_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTUAL_THEME", "nope,nord")
    theme, faults = choose_theme("", Config(theme="[/]"), ["nord", "dracula"])
    assert theme == "nord"
    assert faults == ("TEXTUAL_THEME: theme 'nope' is not known: one of nord, dracula",)
    monkeypatch.delenv("TEXTUAL_THEME")
    _, faults = choose_theme("", Config(theme="[/]"), ["nord", "dracula"])
    assert faults == ("config.toml: theme '[/]' is not known: one of nord, dracula",)


def test_a_theme_from_the_command_line_is_refused_at_once() -> None:
    check_theme("nord")
    with pytest.raises(BadInput, match="--theme 'nort' is not known: one of icltui-dark,"):
        check_theme("nort")


@pytest.mark.parametrize(("term", "theme"), [("linux", "ansi-dark"), ("xterm-256color", "icltui-dark")])
def test_where_there_are_16_colours_the_terminal_s_own_are_used(
    monkeypatch: pytest.MonkeyPatch, term: str, theme: str
) -> None:
    async def default() -> str:
        return IcltuiApp(FakeClient(), LoadModel()).theme

    monkeypatch.delenv("COLORTERM", raising=False)
    monkeypatch.setenv("TERM", term)
    assert asyncio.run(default()) == theme


async def test_a_theme_chosen_in_the_palette_is_there_the_next_time() -> None:
    async with open_desk(samples.session()) as desk:
        desk.app.theme = "nord"
        await desk.until(lambda: remembered_theme() == "nord")
    async with open_desk(samples.session()) as desk:
        assert desk.app.theme == "nord"


async def test_a_theme_of_the_settings_is_not_remembered() -> None:
    async with open_desk(samples.session(), config=NORD) as desk:
        await desk.drawn()
        assert desk.app.theme == "nord"
    assert remembered_theme() == ""


def animation(config: Config) -> str:
    async def level() -> str:
        return IcltuiApp(FakeClient(), LoadModel(), config=config).animation_level

    return asyncio.run(level())


def test_ssh_means_no_animation_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert animation(Config(animation="off")) == "none"
    monkeypatch.setenv("SSH_CONNECTION", "1 2 3 4")
    assert animation(Config()) == "none"
    assert animation(Config(animation="on")) == "full"


async def test_no_cursor_blinks_not_even_in_the_palette() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        await desk.press("ctrl+p")
        await desk.until(lambda: isinstance(desk.app.screen, Palette))
        await desk.until(lambda: not desk.app.screen.query_one(Input).cursor_blink)


@pytest.mark.parametrize("theme", ["ansi-dark", "ansi-light", "textual-light"])
async def test_every_theme_draws_every_tab(theme: str) -> None:
    async with open_desk(samples.session(), config=Config(theme=theme)) as desk:
        await desk.drawn()
        assert desk.app.theme == theme
        for tab in "5678":
            await desk.press(tab)
        await desk.drawn()
