"""The cursor that four panes share: where it is, where a click puts it, and what the screen makes of its moves."""

from textual.geometry import Offset, Region

from tests.tui import samples
from tests.tui.conftest import open_desk


async def test_a_click_on_the_cells_of_a_unit_selects_it() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        for key, pane in (("4", "stream"), ("6", "heatmap"), ("3", "layer_list")):
            await desk.press(key)
            cursor = getattr(desk.screen.numbers, pane, None) or getattr(desk.screen, pane)
            await desk.until(lambda cursor=cursor: cursor.has_focus and cursor.size)
            for unit in (0, 1, samples.N_UNITS):
                for layer in range(samples.N_LAYERS):
                    at = cursor.unit if pane == "layer_list" else unit
                    of = cursor.shown_layer if pane == "stream" else layer
                    region = cursor.region_of(at, of)
                    assert region, (pane, at, of)
                    assert cursor.cell_at(region.offset) == (at, of), pane
                    assert cursor.cell_at(region.bottom_right - Offset(1, 1)) == (at, of), pane


async def test_nothing_above_the_cells_is_repainted_with_them() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        await desk.press("6")
        heatmap = desk.screen.numbers.heatmap
        await desk.until(lambda: heatmap.has_focus and heatmap.size)
        repainted: list[Region] = []
        heatmap.refresh = lambda *regions: repainted.extend(regions)  # type: ignore[method-assign, assignment]
        heatmap.refresh_cells(Region(0, 0, heatmap.size.width, 99))
        top = heatmap.frozen.top
        assert repainted == [Region(0, top, heatmap.size.width, heatmap.size.height - top)]
        heatmap.refresh_cells(Region(0, 0, heatmap.size.width, top))
        assert len(repainted) == 1, "none of it is in sight"
        del heatmap.refresh  # type: ignore[method-assign]


async def test_a_message_that_waits_takes_no_cursor_back() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        await desk.press("6", "g")
        await desk.until(lambda: desk.screen.unit == 0)
        seen: list[int] = []
        desk.screen.watch(desk.screen, "unit", lambda unit: seen.append(unit), init=False)
        heatmap = desk.screen.numbers.heatmap
        for unit in (1, 2, 3):
            heatmap.select(unit, heatmap.shown_layer)
        await desk.until(lambda: desk.screen.unit == 3)
        await desk.drawn()
        assert (seen, heatmap.unit) == ([3], 3)


async def test_the_user_wins_over_what_streams_in() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        await desk.press("6")
        await desk.until(lambda: desk.screen.unit == samples.N_UNITS)
        heatmap = desk.screen.numbers.heatmap
        heatmap.select(0, heatmap.shown_layer)
        heatmap.unit = (
            samples.N_UNITS
        )  # as the table does that follows the stream, before the screen hears of the move
        await desk.until(lambda: desk.screen.unit == heatmap.unit == desk.screen.numbers.stream.unit == 0)
