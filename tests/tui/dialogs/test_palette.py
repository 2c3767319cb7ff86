"""The palette: every action by a word of it; after / commands that come from the options and the registry alone."""

from pathlib import Path

import pytest
from textual.widgets import Input

from icltui.api.messages import LoadModel
from icltui.storage.paths import example_sessions, sessions_folder
from icltui.storage.sessions import read_session
from icltui.tui.actions import ACTIONS
from icltui.tui.actions.palette_entries import SETTABLE, PaletteOffers, Word
from icltui.tui.dialogs.manual import ManualDialog
from icltui.tui.dialogs.palette import Palette
from icltui.tui.state.run_settings import RunSettings
from icltui.tui.state.settings_form import SETTINGS
from icltui.values.errors import BadInput
from icltui.values.recipe import Recipe
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk


def refuse(text: str) -> None:
    raise BadInput(f"no layer {text}")


OFFERS = PaletteOffers(ACTIONS, RunSettings(), words={"help": [Word("maths", "the theory"), Word("sql")]})


def titles(text: str) -> list[str]:
    return [entry.title for entry in OFFERS.entries(text)]


def test_every_option_of_the_form_and_every_action_is_a_command() -> None:
    assert {option.field for option in SETTINGS} <= {option.field for option in SETTABLE.values()}
    names = {title.split()[0] for title in titles("/")}
    assert names >= {f"/{name}" for name in SETTABLE}
    assert names >= {f"/{action.id.replace('_', '-')}" for action in ACTIONS if action.group}
    assert len(titles("/")) == len(names), "none is there twice"


def test_every_choice_of_every_option_is_offered_and_can_be_set() -> None:
    for name, option in SETTABLE.items():
        for choice in option.choices:
            entry = next(e for e in OFFERS.entries(f"/{name} ") if e.title == f"/{name} {choice}")
            if choice == "other":
                assert "/other-context TEXT" in entry.help
                continue
            assert entry.action == f"set_option({option.field!r}, {choice!r})"


@pytest.mark.parametrize(
    ("typed", "fault"),
    [
        ("/alpha 9", "give 0 to 2"),
        ("/alpha x", "not a number"),
        ("/mode nothing", "use per-step"),
        ("/chat maybe", "use on, off"),
        ("/tokens 5000", "give 1 to 4096"),
        ("/nonsense 3", "no such command"),
        ("/nonsense", "no such command"),
        ("/verify now", "takes no argument"),
        ("/help cooking", "lists what there is"),
    ],
)
def test_what_is_wrong_is_said_while_it_is_typed(typed: str, fault: str) -> None:
    (entry,) = OFFERS.entries(typed)
    assert entry.is_fault
    assert fault in entry.help
    assert not entry.action


def test_words_and_beginnings() -> None:
    assert OFFERS.entries("weaker patch")[0].action == "change_alpha(-0.05)"
    assert titles("run")[0] == "Run"
    assert titles("no such thing at all") == []
    assert titles("/al")[0] == "/alpha A"
    assert titles("/mode fro") == ["/mode frozen"]
    assert titles("/help ma") == ["/help maths"]
    assert titles("/chat ") == ["/chat on", "/chat off"]
    layers = PaletteOffers(ACTIONS, RunSettings(), refuse).entries("/layers 9")
    assert [(entry.is_fault, entry.help) for entry in layers] == [(True, "no layer 9")]
    for hostile in ("/\x1b[2J", "/alpha \ud800", "/save [/x]", "\0", "/" * 999, "/find  a  b "):
        OFFERS.entries(hostile)


async def command(desk: Desk, text: str) -> None:
    """Type it after ``:``."""
    await desk.press("colon")
    await desk.until(lambda: isinstance(desk.app.screen, Palette) and desk.app.screen.query(Input))
    palette = desk.app.screen
    assert isinstance(palette, Palette)
    await desk.until(lambda: palette._offers.words)
    palette.query_one(Input).value = text
    await desk.drawn()
    await desk.press("enter")
    await desk.until(lambda: desk.app.screen is not palette)


async def test_commands_do_what_they_say() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        explorer = desk.explorer
        for typed in ("/alpha 0.5", "/mode frozen", "/fit 3"):
            await command(desk, typed)
        await desk.until(lambda: explorer.settings.recipe == Recipe(alpha=0.5, mode="frozen", n_fitted=3))
        await command(desk, "/unit sentence")
        await desk.until(lambda: explorer.settings.prompt.unit == "sentence")
        await command(desk, "/layers 0")
        await desk.until(lambda: explorer.ticked == (0,))
        await command(desk, "/chat on")
        await desk.until(lambda: explorer.settings.prompt.chat)
        await command(desk, "/dynamics drop")
        await desk.until(lambda: explorer.settings.dynamics == "drop")
        await command(desk, "/find rome")
        await desk.until(lambda: desk.screen.find.search.places)
        await command(desk, "/export md")
        await desk.until(lambda: list(sessions_folder().glob("*.md")))
        await command(desk, "/save two words")
        await desk.until(lambda: (sessions_folder() / "two words.json").exists())
        await command(desk, "/open entity")
        await desk.until(lambda: explorer.settings.prompt == read_session(example_sessions()[2]).prompt)
        await command(desk, "/theme nord")
        await desk.until(lambda: desk.app.theme == "nord")
        await command(desk, "/model some/model")
        await desk.until(
            lambda: LoadModel(model="some/model") in (*desk.client.requests, *explorer.jobs.plan)
        )
        await command(desk, "/help maths")
        await desk.until(lambda: isinstance(desk.app.screen, ManualDialog))
        await desk.until(lambda: "implicit" in desk.text() or "maths" in desk.text())


async def test_a_name_that_is_taken_is_asked_about(desk: Desk) -> None:
    path = sessions_folder() / "mine.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("precious")
    await command(desk, "/save mine")
    await desk.until(lambda: "is there already" in desk.text())
    assert path.read_text() == "precious"


async def test_a_file_that_is_none_is_told(desk: Desk, tmp_path: Path) -> None:
    await command(desk, f"/open {tmp_path / 'gone.json'}")
    await desk.until(lambda: any("cannot be read" in line for line in desk.toasts()))


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (200, 50)])
async def test_one_line_an_entry_keys_aligned_and_not_the_whole_width(size: tuple[int, int]) -> None:
    async with open_desk(samples.session(), size=size) as desk:
        await desk.settle()
        await desk.press("ctrl+p")
        await desk.until(lambda: "Verify" in desk.text() and isinstance(desk.app.screen, Palette))
        await desk.drawn()
        lines = desk.text().splitlines()
        starts = {line.index(key) for line in lines for key in ("Measure the", "Prove the") if key in line}
        assert len(starts) == 1
        assert desk.app.screen.query_one(".palette").outer_size.width <= 100
        assert "Screenshot" not in desk.text()
        await desk.press("slash", "a", "l", "tab")
        assert desk.app.screen.query_one(Input).value == "/alpha "
        await desk.press("enter")
        assert isinstance(desk.app.screen, Palette), "it needs an argument"
