"""The tabs of loss curves and of attention heads: run, looked at, kept, marked, at any size."""

import pytest
from msgspec.structs import replace
from textual.widget import Widget

from icltui.api.messages import (
    CurvesEnded,
    EffectsEnded,
    EffectsMeasured,
    HeadsEnded,
    MeasureCurves,
    MeasureEffects,
    MeasureHeads,
)
from icltui.storage.session_validation import check_consistent
from icltui.tui.draw.head_matrices import HEAD_VIEWS, head_matrix
from icltui.tui.draw.loss_plots import LOSS_VIEWS
from icltui.values.heads import HeadIndex
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk
from tests.tui.inspections import N_UNITS, N, curves, effects, heads
from tests.tui.screen_checks import check_screen

SIZES = ((120, 40), (80, 24), (200, 50), (60, 18), (30, 9), (3, 2))


async def measured(desk: Desk) -> None:
    """Both are there, the loss in sight."""
    await desk.press("K")
    desk.client.finish(HeadsEnded(heads=heads()))
    await desk.press("I")
    desk.client.finish(CurvesEnded(curves=curves()))
    await desk.drawn()


async def test_keys_ask_for_them(desk: Desk) -> None:
    for key, tab, kind in (("I", "curves", MeasureCurves), ("K", "heads", MeasureHeads)):
        await desk.press(key)
        assert isinstance(desk.client.request, kind)
        assert desk.screen.numbers.current == tab
        desk.client.finish()
    await desk.press("O")
    assert isinstance(desk.client.request, MeasureCurves)
    assert desk.client.request.own_texts == 4


async def test_effects_come_unit_by_unit_and_stay_where_they_are_stopped(desk: Desk) -> None:
    await desk.press("E")
    assert isinstance(desk.client.request, MeasureEffects)
    await desk.until(lambda: "no patch effects yet: E" in desk.text())
    whole = effects()
    for units in (whole.units[-1:], whole.units[:2]):
        desk.client.send(
            desk.client.job,
            samples.TOKENIZED,
            EffectsMeasured(layers=whole.layers, plain=whole.plain, units=units),
        )
    await desk.drawn()
    held = desk.explorer.results.inspections
    assert [of.unit for of in held.effects.units if held.effects] == [1, 2, N_UNITS]
    await desk.until(lambda: "no shade: no patch, 2" in desk.text())
    assert held.whole_effects is None
    assert desk.explorer.session("x").effects is None
    await desk.press("escape")
    desk.client.give_way()
    await desk.drawn()
    assert len(held.effects.units if held.effects else ()) == 3
    await desk.press("E")
    desk.client.finish(EffectsEnded(effects=whole))
    await desk.drawn()
    await desk.press("E")  # the same again, stopped: those that were whole come back
    desk.client.send(
        desk.client.job,
        samples.TOKENIZED,
        EffectsMeasured(layers=whole.layers, plain=1.0, units=whole.units[:1]),
    )
    await desk.press("escape")
    desk.client.give_way()
    await desk.drawn()
    assert held.whole_effects == whole
    assert "random 2.2" in desk.text()


async def test_effects_are_saved_and_of_their_prompt(desk: Desk) -> None:
    await desk.press("E")
    desk.client.finish(EffectsEnded(effects=effects()))
    await desk.drawn()
    session = desk.explorer.session("x")
    check_consistent(session)
    assert session.effects == effects()
    async with open_desk(session) as other:
        await other.settle()
        await other.press("6", "w")
        await other.until(lambda: "no shade: no patch, 2" in other.text())
        await other.press("1", "i", "x")
        await other.until(lambda: "edited, E measures" in other.text())


async def test_w_says_that_there_is_no_other_picture(desk: Desk) -> None:
    await desk.press("6", "w")
    await desk.until(lambda: any("E computes patch effects" in line for line in desk.toasts()))


async def test_a_stopped_one_leaves_what_was_there(desk: Desk) -> None:
    await measured(desk)
    await desk.press("I", "escape")
    assert desk.client.cancelled == [desk.client.job]
    desk.client.give_way()
    await desk.drawn()
    assert desk.explorer.results.inspections.curves == curves()


async def test_the_loss_is_read_at_the_cursor(desk: Desk) -> None:
    await measured(desk)
    assert "ICL score −0.5 (−0.75 to 0) nats = −0.72 (−0.97 to −0.22) bits" in desk.text()
    plots = desk.screen.numbers.losses
    await desk.press("g", "l", "l", "ctrl+d", "h")
    assert plots.position == 11
    await desk.until(lambda: "position 12 " in desk.text())
    for view in (*LOSS_VIEWS[1:], LOSS_VIEWS[0]):
        await desk.press("w")
        assert plots.view == view
    await desk.press("w")
    await desk.until(lambda: "on the query 2.25 (2 to 2.75) nats a token" in desk.text())
    assert len(plots.copied().splitlines()) == N + 1


async def test_the_crosshair_begins_at_the_strongest_head_and_leads_the_layer(desk: Desk) -> None:
    await desk.press("K")
    desk.client.finish(HeadsEnded(heads=heads()))
    await desk.until(lambda: "0.9 (0.1 to 0.95)  layer 3 head 1  nothing repeated 0.02" in desk.text())
    assert "strongest: L3 H1 0.90" in desk.text()
    await desk.until(lambda: desk.screen.shown_layer == 3)
    await desk.press("j", "l")
    await desk.until(lambda: desk.screen.shown_layer == 4)
    await desk.press("w", "w")
    await desk.until(lambda: "layer 4: share of δ by head and unit" in desk.text())
    assert "head 2  unit 1 " in desk.text()
    assert "the sum is off it by 3e-08" in desk.text()
    await desk.press("G", "j")
    assert f"head 3  unit {N_UNITS} " in desk.text()
    view = desk.screen.numbers.heads
    assert len(view.copied().splitlines()) == 4 * N_UNITS + 1
    await desk.press("w", "w")
    assert (view.view, view.row, view.column) == ("induction", 4, 3)


def test_a_matrix_holds_the_numbers_of_its_heads() -> None:
    held = heads()
    for view in HEAD_VIEWS:
        matrix = head_matrix(held, view, 5)
        rows = len(matrix.rows)
        wanted = (4, N_UNITS) if view in ("share", "attention") else (samples.N_LAYERS, 4)
        assert (rows, matrix.n_columns) == wanted
    scores = head_matrix(held, "induction", 0)
    assert all(scores.at(one.layer, one.head) == one.induction for one in held.heads)
    assert "δ was not split at layer 0" in head_matrix(held, "share", 0).empty


async def test_what_is_said_above_is_whole() -> None:
    """At the sizes that a terminal has, with a score of a short text and heads of large numbers."""
    note = (
        "the ICL score is of the first and the last tenth, as the text has 19 tokens: the usual one takes 510"
    )
    score = curves().icl_score
    assert score is not None
    named = tuple(HeadIndex(layer=100 + n, head=100 + n) for n in range(9))
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        await desk.press("K")
        desk.client.finish(HeadsEnded(heads=replace(heads(), previous_heads=named)))
        await desk.press("I")
        desk.client.finish(CurvesEnded(curves=replace(curves(), icl_score=replace(score, note=note))))
        await desk.drawn()
        for size in ((120, 40), (80, 24)):
            await desk.pilot.resize_terminal(*size)
            await desk.press("u")
            await desk.until(lambda: note in in_one_line(desk.screen.numbers.losses))
            await desk.press("t", "w")
            await desk.until(lambda: ", and 3 more" in in_one_line(desk.screen.numbers.heads))
            await desk.press("w", "w", "w")


def in_one_line(widget: Widget) -> str:
    """What a pane shows, without its line ends."""
    return " ".join(" ".join(strip.text for strip in widget.render_lines(widget.size.region)).split())


async def test_both_are_saved_and_shown_again(desk: Desk) -> None:
    await measured(desk)
    session = desk.explorer.session("x")
    check_consistent(session)
    assert (session.curves, session.heads) == (curves(), heads())
    async with open_desk(session) as other:
        await other.press("u")
        await other.until(lambda: "ICL score" in other.text())
        await other.press("t")
        await other.until(lambda: "strongest: L3 H1" in other.text())


async def test_an_edited_text_marks_both(desk: Desk) -> None:
    await measured(desk)
    await desk.press("1", "i", "x", "escape", "u")
    await desk.until(lambda: "edited, I measures" in desk.text())
    await desk.press("t")
    await desk.until(lambda: "edited, K measures" in desk.text())


@pytest.mark.soak
@pytest.mark.parametrize("is_there", [False, True])
async def test_every_view_has_room_at_every_size(is_there: bool) -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        if is_there:
            await measured(desk)
        for size in SIZES:
            await desk.pilot.resize_terminal(*size)
            for tab, views in (("u", LOSS_VIEWS), ("t", HEAD_VIEWS)):
                await desk.press(tab)
                for _ in views:
                    await desk.press("w", "G", "j")
                    await desk.pilot.pause()
                    check_screen(desk.app)
