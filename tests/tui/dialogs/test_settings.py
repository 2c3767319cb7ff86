"""The form of what is typed: back and forth between settings and their texts, and one line for what is wrong."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_changes
from textual.widgets import Input, Static

from icltui.api.messages import CountTokens, Generate
from icltui.tui.dialogs.settings import SettingsDialog
from icltui.tui.state.run_settings import RunSettings
from icltui.tui.state.settings_form import SETTINGS, texts_of, with_texts
from icltui.values.errors import BadInput
from icltui.values.recipe import Recipe, Sampling
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk

CHOSEN = RunSettings(prompt=samples.PROMPT)


def set_to(settings: RunSettings, **texts: str) -> RunSettings:
    return with_texts(settings, {**texts_of(settings), **texts})


def test_fields_left_alone_change_nothing() -> None:
    rich = replace(
        CHOSEN,
        recipe=Recipe(
            alpha="search", rank=3, queries=("a", "b"), other_context="a\\b\nc\x1b", control="other"
        ),
        holdout=("c",),
        prompt=with_changes(samples.PROMPT, unit="\n\n"),
    )
    assert with_texts(rich, texts_of(rich)) == rich
    assert texts_of(rich)["other_context"] == "a\\\\b\\nc\\u001b"


@settings(deadline=None)
@given(st.text().filter(bool))
@example("a\r\nb\r\u2028\x0c\x85\ue8c4\U000e0001\t\\u0041\\")
def test_a_text_in_a_field_of_one_line_is_the_text(text: str) -> None:
    """Else the letter that is typed behind it would take away what the field cannot show."""
    held = texts_of(replace(CHOSEN, prompt=with_changes(samples.PROMPT, unit=text)))["unit"]
    assert held.isprintable()
    assert set_to(CHOSEN, unit=held + "x").prompt.unit == text + "x"


@pytest.mark.parametrize("typed", [r"\U00110000", r"\uD8", r"\q"])
def test_what_is_no_escape_is_taken_as_it_is_typed(typed: str) -> None:
    assert set_to(CHOSEN, unit=typed).prompt.unit == typed[1:]


def test_every_field_has_its_way_back(tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("one\n\ntwo\n")
    given = {
        "alpha": "0.35",
        "layer_alphas": "3=0.5,7=0",
        "n_fitted": "4",
        "rank": "2",
        "ridge": "1e-4",
        "queries": f"@{tmp_path}/q.txt",
        "holdout": f"{tmp_path}/q.txt",
        "control": "other",
        "other_context": r"first\nsecond \\n",
        "n_tokens": "24",
        "temperature": "0.7",
        "top_k": "40",
        "top_p": "0.9",
        "seed": "5",
        "unit": r"\n\n",
        "bos": "never",
        "precision": "float32",
    }
    assert given.keys() == {setting.field for setting in SETTINGS}
    settings = set_to(CHOSEN, **given)
    assert settings.recipe == Recipe(
        alpha=0.35,
        layer_alphas="3=0.5,7=0",
        n_fitted=4,
        rank=2,
        ridge=1e-4,
        queries=("one", "two"),
        control="other",
        other_context="first\nsecond \\n",
        seed=5,
    )
    assert (settings.holdout, settings.n_tokens) == (("one", "two"), 24)
    assert settings.sampling == Sampling(temperature=0.7, top_k=40, top_p=0.9, seed=5)
    assert (settings.prompt.unit, settings.prompt.bos) == ("\n\n", "never")
    emptied = set_to(settings, rank="", top_k="", queries="", holdout="")
    assert (emptied.recipe.rank, emptied.sampling.top_k, emptied.recipe.queries, emptied.holdout) == (
        None,
        None,
        (),
        (),
    )


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("alpha", "x", "α: 'x' is not a number: give 0 to 2, search or jvp"),
        ("alpha", "3", "alpha 3 is out of range"),
        ("alpha", "nan", "alpha nan is out of range"),
        ("rank", "0", "rank 0 is out of range"),
        ("rank", "2.5", "rank: '2.5' is not a whole number: give 1 to 16777216"),
        ("ridge", "-1", "ridge -1 is not a penalty"),
        ("queries", "/nowhere", "fit on: cannot read '/nowhere'"),
        ("queries", "~nobody-of-that-name/q", "fit on: '~nobody-of-that-name/q': no user"),
        ("holdout", "/dev/null", "test on: '/dev/null' is not a file of queries"),
        ("control", "odd", "control: 'odd' not known: use none, random"),
        ("control", "other", "needs another context"),
        ("n_tokens", "0", "tokens: 0 tokens to generate: ask for 1 to 16777216"),
        ("n_tokens", "4097", "tokens: 4097 is out of range: give 1 to 4096"),
        ("temperature", "-1", "temperature -1 is out of range"),
        ("seed", "-1", "seed -1 is out of range"),
        ("unit", "", "unit: the unit is empty: use auto, token, line"),
        ("bos", "maybe", "special: 'maybe' not known: use auto, always, never"),
    ],
)
def test_what_cannot_be_is_told_with_its_field(name: str, text: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        set_to(CHOSEN, **{name: text})
    assert words in str(caught.value)


async def opened(desk: Desk) -> SettingsDialog:
    await desk.press("escape", "o")
    await desk.until(lambda: isinstance(desk.app.screen, SettingsDialog))
    screen = desk.app.screen
    assert isinstance(screen, SettingsDialog)
    return screen


async def test_enter_takes_every_field_and_the_lanes_follow(desk: Desk) -> None:
    screen = await opened(desk)
    screen.query_one("#n_tokens", Input).value = "3"
    screen.query_one("#seed", Input).value = "7"
    await desk.press("enter")
    await desk.until(lambda: isinstance(desk.client.request, Generate))
    request = desk.client.request
    assert isinstance(request, Generate)
    assert (request.n_tokens, request.sampling.seed) == (3, 7)


async def test_another_unit_waits_for_the_next_run(desk: Desk) -> None:
    screen = await opened(desk)
    screen.query_one("#unit", Input).value = "line"
    await desk.press("enter")
    await desk.until(lambda: isinstance(desk.client.request, CountTokens))
    assert "edited" in desk.text()


async def test_a_wrong_field_keeps_the_form_and_escape_keeps_the_work(desk: Desk) -> None:
    before = desk.explorer.settings
    screen = await opened(desk)
    screen.query_one("#alpha", Input).value = "[/x]"
    await desk.press("enter")
    await desk.until(lambda: "is not a number" in str(screen.query_one(".error", Static).render()))
    await desk.press("escape")
    await desk.until(lambda: desk.app.screen is desk.screen)
    assert desk.explorer.settings is before


@pytest.mark.parametrize("size", [(80, 24), (60, 18)])
async def test_every_field_can_be_reached_in_little_room(size: tuple[int, int]) -> None:
    async with open_desk(samples.session(), size=size) as desk:
        await desk.settle()
        screen = await opened(desk)
        for _ in range(len(SETTINGS) - 1):
            await desk.press("down")
        assert screen.focused is screen.query_one("#precision")
        await desk.until(lambda: "precision" in desk.text())
