"""The log is wrapped to the width it is seen at, however long it was hidden, and says when."""

import pytest

from tests.tui import HOSTILE, samples
from tests.tui.conftest import open_desk
from tests.tui.screen_checks import check_screen

WORDS = "a line that is much longer than the pane is wide and goes on and on until it has to be wrapped " * 3


async def test_lines_written_while_hidden_are_wrapped_to_the_pane() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        log, lines = desk.screen.numbers.log_view, desk.explorer.engine_status.lines
        await desk.press("8")
        await desk.until(lambda: log.size)
        await desk.press("4")
        desk.explorer.hear_log(WORDS, is_notice=False, is_error=False)
        await desk.drawn()
        await desk.press("8")
        await desk.drawn()
        assert WORDS.strip().replace(" ", "") in "".join(log.rows).replace(" ", "")
        assert max(map(len, log.rows)) > log.size.width // 2
        n_rows = len(log.rows)
        assert n_rows < len(lines) + 10
        await desk.pilot.resize_terminal(60, 18)
        await desk.until(lambda: len(log.rows) != n_rows)
        assert max(len(row.rstrip()) for row in log.rows) <= log.size.width - 9


async def test_each_line_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        monkeypatch.setattr("icltui.tui.state.log_lines.now", lambda: 3723.0)
        desk.explorer.hear_log("said later", is_notice=False, is_error=False)
        await desk.press("8")
        await desk.until(lambda: "01:02:03 said later" in desk.text())
        assert "00:00:00 " in desk.text()
        assert desk.screen.numbers.log_view.copied().endswith("01:02:03 said later\n")


async def test_hostile_lines_fit_at_every_size() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        await desk.press("8")
        for text in HOSTILE:
            desk.explorer.hear_log(f"{text} {text * 40}", is_notice=False, is_error=False)
        for size in ((60, 18), (200, 50), (80, 24)):
            await desk.pilot.resize_terminal(*size)
            await desk.drawn()
            check_screen(desk.app)


async def test_the_end_stays_in_sight_until_the_user_scrolls() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        await desk.press("8")
        desk.explorer.engine_status.lines += [f"line {at}" for at in range(100)]
        desk.explorer.hear_log("the end", is_notice=False, is_error=False)
        await desk.until(lambda: "the end" in desk.text())
        await desk.press("g")
        await desk.until(lambda: "the end" not in desk.text())
        desk.explorer.hear_log("another", is_notice=False, is_error=False)
        await desk.drawn()
        assert "another" not in desk.text()
