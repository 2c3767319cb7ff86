"""The layer list uses its room, and shows where most happens without taking the cursor from the user."""

import msgspec
import pytest

from icltui.api.messages import MeasureEnded, ModelLoaded, UnitsMeasured
from icltui.tui.state.measurement_so_far import MeasuredUnits
from tests.tui import fill, samples, tokenized
from tests.tui.conftest import Desk, open_desk
from tests.tui.screen_checks import check_screen

N_LAYERS = 30
MODEL = msgspec.structs.replace(samples.MODEL, n_layers=N_LAYERS)
BUSIEST = 12


def rows() -> UnitsMeasured:
    """Numbers that are greatest at one layer in the middle."""
    made = [
        msgspec.structs.replace(samples.row(unit, layer), delta_norm=unit / (1 + abs(layer - BUSIEST)))
        for unit in range(1, samples.N_UNITS + 1)
        for layer in range(N_LAYERS)
    ]
    return UnitsMeasured(rows=tuple(made), predictions=samples.chunk(0, samples.N_UNITS).predictions)


async def measured(desk: Desk, *keys: str) -> None:
    """Load a deep model, press ``keys``, and let the numbers come."""
    await desk.until(lambda: desk.client.job)
    desk.client.finish(ModelLoaded(model=MODEL))
    await desk.drawn()
    await desk.press(*keys)
    desk.client.send(desk.client.job, samples.TOKENIZED, rows())
    await desk.drawn()
    ended = MeasureEnded(layers=tuple(range(N_LAYERS)), path="packed", seconds=0.5)
    desk.client.finish(ended)
    await desk.drawn()


async def test_the_list_opens_where_most_happens() -> None:
    async with open_desk(samples.session(is_measured=False)) as desk:
        await measured(desk)
        layers = desk.screen.layer_list
        assert desk.screen.shown_layer == desk.screen.numbers.stream.shown_layer == BUSIEST
        lines = [layers.render_line(y).text for y in range(layers.size.height)]
        cursor = next(y for y, line in enumerate(lines) if "❯" in line)
        assert "▲" in lines[cursor]
        assert sum("▲" in line for line in lines) == 1
        assert 0 < cursor < len(lines) - 1, "layers before and after it are in sight"


async def test_a_cursor_that_the_user_has_put_stays() -> None:
    async with open_desk(samples.session(is_measured=False)) as desk:
        await measured(desk, "3", "g", "j")
        assert desk.screen.shown_layer == 1


async def test_the_bars_take_the_whole_width_at_every_size() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        layers = desk.screen.layer_list
        for size in ((80, 24), (120, 40), (200, 50)):
            await desk.pilot.resize_terminal(*size)
            await desk.press("3")
            await desk.until(lambda: layers.size)
            await desk.drawn()
            text = layers.render_line(samples.N_LAYERS - 1).text
            n_bars = sum(text.count(bar) for bar in "▁▂▃▄▅▆▇█") + text[6:].count(" ")
            assert n_bars >= layers.size.width - 20, (size, text)
            assert layers.size.width >= 0.28 * size[0]
            check_screen(desk.app)


async def test_the_whole_screen_gives_each_layer_more_lines() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        await desk.press("3", "z")
        layers = desk.screen.layer_list
        await desk.until(lambda: layers.n_rows > 1)
        await desk.drawn()
        check_screen(desk.app)
        labels = [y for y in range(layers.size.height) if "[x]" in layers.render_line(y).text]
        assert labels == [layers.n_rows * (layer + 1) - 1 for layer in range(samples.N_LAYERS)]
        assert "max" in layers.render_line(labels[0]).text
        tops = [layers.render_line(label - layers.n_rows + 1).text for label in labels]
        assert not any(top.strip() for top in tops), "a blank line is between two layers"
        await desk.press("g", "j")
        assert desk.screen.shown_layer == 1
        region = layers.region_of(0, 1)
        assert layers.cell_at(region.offset) == (layers.unit, 1)
        await desk.press("z")
        await desk.until(lambda: layers.n_rows == 1)


def test_the_mean_leaves_out_what_is_about_a_sink() -> None:
    measured = MeasuredUnits(tokenized(["a", "b", "c"]))
    fill(measured, range(4), (0, 1))
    assert measured.mean("delta_norm", 0) == pytest.approx(2.0)
    assert measured.busiest_layer("delta_norm") == 1
    measured.ruled_unit = 3
    assert measured.mean("delta_norm", 0) == pytest.approx(1.5)
    assert measured.mean("patch_norm", 0) == pytest.approx(0.2)
    assert MeasuredUnits().busiest_layer("delta_norm") is None
