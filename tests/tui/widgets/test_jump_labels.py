"""Jump mode: a letter on every pane, one key, and everything is as it was."""

import pytest

from icltui.tui.state.jump_keys import letters, targets
from icltui.tui.state.pane_names import PANES, TABS
from icltui.tui.widgets.jump_labels import JumpLabel
from tests.tui import samples
from tests.tui.actions.test_keys import type_ahead
from tests.tui.conftest import Desk, open_desk

NAMES = targets(PANES)
KEYS = dict(zip(NAMES, letters(NAMES.values()), strict=True))


def test_every_pane_has_a_letter_of_its_own() -> None:
    assert len(set(KEYS.values())) == len(KEYS) >= 11
    assert letters(["a"] * 26) == list("abcdefghijklmnopqrstuvwxyz")


@pytest.mark.parametrize("size", [pytest.param((120, 40), marks=pytest.mark.soak), (80, 24)])
async def test_every_pane_is_reached_by_its_letter(size: tuple[int, int]) -> None:
    async with open_desk(samples.session(), size=size) as desk:
        await desk.settle()
        await desk.press("ctrl+o")
        await desk.until(lambda: all(f"{KEYS[pane]}:{name}" in desk.text() for pane, name in NAMES.items()))
        await desk.press("escape")
        for pane, letter in KEYS.items():
            await desk.press("ctrl+o", letter)
            wanted = {"exam": "exam-patches"}.get(pane, pane)
            await desk.until(lambda wanted=wanted: desk.screen.focused and desk.screen.focused.id == wanted)
        await desk.until(lambda: not desk.screen.query(JumpLabel))


async def test_marks_lie_on_what_is_in_sight(desk: Desk) -> None:
    await desk.press("ctrl+o")
    await desk.until(lambda: len(desk.screen.query(JumpLabel)) == len(KEYS))
    await desk.drawn()
    lines = desk.text().splitlines()
    assert " c 1 Context" in lines[1]
    assert " s Strea" in lines[1]
    assert " o Lo" in lines[1]
    await desk.press("escape", "z", "ctrl+o")
    await desk.drawn()
    assert len(desk.screen.query(JumpLabel)) == len(TABS)


@pytest.mark.parametrize("key", ["escape", "j", "f2", "enter"])
async def test_any_other_key_leaves_all_as_it_was(desk: Desk, key: str) -> None:
    n_jobs, mode = desk.client.job, desk.explorer.settings.recipe.mode
    await desk.press("1", "ctrl+o", key)
    await desk.until(lambda: not desk.screen.guide.jump_bar.display)
    assert desk.screen.focused is desk.screen.context
    assert desk.screen.context.text == samples.CONTEXT
    assert (desk.client.job, desk.explorer.settings.recipe.mode) == (n_jobs, mode)


async def test_a_digit_and_the_mouse_leave_too(desk: Desk) -> None:
    await desk.press("ctrl+o", "3")
    await desk.until(lambda: not desk.screen.guide.jump_bar.display)
    assert desk.screen.focused is desk.screen.layer_list
    await desk.press("ctrl+o")
    await desk.pilot.click("#query", offset=(5, 3))
    await desk.until(lambda: not desk.screen.guide.jump_bar.display)
    assert desk.screen.focused is desk.screen.question
    await desk.press("ctrl+o")
    await desk.pilot.click("#lane-plain", offset=(1, 0))
    await desk.until(lambda: desk.screen.focused and desk.screen.focused.id == "lane-plain")


async def test_letter_and_text_may_be_typed_ahead(desk: Desk) -> None:
    type_ahead(desk, "ctrl+o", KEYS["context"], "i", *"dvp")
    await desk.until(lambda: desk.screen.context.text == "dvp" + samples.CONTEXT)
    assert desk.screen.focused is desk.screen.context
