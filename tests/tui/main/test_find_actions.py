"""Find on the screen: as one types, kept or given up, and the next match from anywhere."""

import pytest

from tests.tui import samples
from tests.tui.actions.test_keys import type_ahead
from tests.tui.conftest import Desk, open_desk

TURN, ROME = samples.N_UNITS // 2, 12
"""Where the next token turns to Rome, and where the context says Rome."""


async def test_everything_follows_what_is_typed(desk: Desk) -> None:
    await desk.press("slash", *"rome")
    await desk.until(lambda: desk.screen.unit == TURN)
    numbers = desk.screen.numbers
    assert numbers.stream.unit == numbers.plots.unit == numbers.heatmap.unit == TURN
    await desk.drawn()
    assert desk.text().splitlines()[-1].split() == ["/", "rome", "1/2"]


async def test_enter_keeps_and_n_goes_on(desk: Desk) -> None:
    await desk.press("slash", *"rome", "enter")
    await desk.until(lambda: not desk.screen.find.find_bar.display)
    assert desk.screen.focused is desk.screen.numbers.stream
    for key, unit in (("n", ROME), ("n", TURN), ("N", ROME)):
        await desk.press(key)
        assert desk.screen.unit == unit
    await desk.until(lambda: "/rome 2/2" in desk.text())
    await desk.press("j")
    await desk.until(lambda: "/rome ·/2" in desk.text())
    await desk.press("N")
    assert desk.screen.unit == ROME


async def test_escape_goes_back(desk: Desk) -> None:
    await desk.press("3", "slash", *"rome", "escape")
    await desk.until(lambda: not desk.screen.find.find_bar.display)
    assert desk.screen.focused is desk.screen.layer_list
    assert desk.screen.unit == samples.N_UNITS
    assert "/rome" not in desk.text()


async def test_nothing_found_is_one_line_and_moves_nothing(desk: Desk) -> None:
    await desk.press("slash", *"rome", *"[/x]")
    await desk.until(lambda: "not found in units and next tokens" in desk.text())
    assert desk.screen.unit == samples.N_UNITS
    await desk.press("enter")
    await desk.until(lambda: not desk.screen.find.find_bar.display)
    assert desk.screen.unit == samples.N_UNITS


async def test_an_empty_word_forgets_the_one_before(desk: Desk) -> None:
    await desk.press("slash", *"rome", "enter", "slash", "escape")
    assert desk.screen.numbers.found == "/rome 1/2"
    await desk.press("slash", "enter")
    await desk.until(lambda: desk.screen.numbers.found == "")
    assert desk.screen.unit == TURN


async def test_next_without_a_word_says_what_is_missing(desk: Desk) -> None:
    await desk.press("n")
    assert desk.toasts() == ["nothing to find yet: / asks for a word"]


async def test_n_in_the_layer_list_unticks(desk: Desk) -> None:
    await desk.press("slash", *"rome", "enter", "3", "n")
    await desk.until(lambda: desk.screen.layer_list.ticked == set())
    assert desk.screen.unit == TURN


async def test_digits_and_slashes_are_text_in_the_line(desk: Desk) -> None:
    await desk.press("slash", "1", "slash", "9")
    assert desk.screen.find.find_bar.field.value == "1/9"
    await desk.press("escape", "1", "i", "slash")
    assert desk.screen.context.text.startswith("/")


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_what_is_typed_ahead_is_the_word(size: tuple[int, int]) -> None:
    async with open_desk(samples.session(), size=size) as desk:
        await desk.settle()
        n_jobs = desk.client.job
        await desk.press("3")
        type_ahead(desk, "slash", *"oslo")
        await desk.until(lambda: desk.screen.numbers.found == "/oslo 1/1")
        await desk.press("enter")
        await desk.drawn()
        assert desk.client.job == n_jobs
        assert desk.screen.focused is desk.screen.numbers.stream
        assert "❯ 18 ·Oslo" in desk.text()


async def test_the_log_is_searched_in_its_tab(desk: Desk) -> None:
    desk.explorer.engine_status.lines += [f"line {at}" for at in range(100)]
    desk.screen.numbers.draw_log()
    await desk.press("8", "g", "slash", *"line", "space", "7", "enter")
    await desk.until(lambda: desk.screen.numbers.found == "/line 7 1/11")
    log = desk.screen.numbers.log_view
    assert log.rows[log.row].strip() == "line 7"
    await desk.press("n", "n")
    assert log.rows[log.row].strip() == "line 71"
    await desk.until(lambda: "line 71" in desk.text())
    assert desk.screen.unit == samples.N_UNITS


async def test_another_session_forgets_the_word(desk: Desk) -> None:
    await desk.press("slash", *"rome", "enter", "ctrl+n")
    await desk.until(lambda: desk.screen.context.text == "")
    await desk.until(lambda: desk.screen.numbers.found == "")


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (60, 18)])
async def test_any_size(size: tuple[int, int]) -> None:
    async with open_desk(samples.session(), size=size) as desk:
        await desk.settle()
        await desk.press("slash", *"rome", "ctrl+o", "x", "slash", "escape")
        await desk.drawn()
