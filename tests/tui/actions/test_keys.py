"""Every key of the registry does what it says, and the registry feeds footer, help and palette."""

from pathlib import Path

import pytest
from textual.events import Key
from textual.widgets import Input, Static

from icltui.api.messages import Generate, Measure, PatchTested, Verify
from icltui.report.measures import MEASURES
from icltui.tui.actions import ACTIONS, BINDINGS
from icltui.tui.dialogs.help import HelpDialog, help_sections
from icltui.tui.dialogs.open_session import OpenSessionDialog
from icltui.tui.dialogs.palette import Palette
from icltui.tui.dialogs.save_session import SaveSessionDialog
from icltui.tui.draw.token_colorings import COLORINGS
from icltui.tui.main.command_palette import offered
from icltui.tui.state.pane_names import PANES
from icltui.values import LANES
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk


async def test_run(desk: Desk) -> None:
    n_jobs = desk.client.job
    for at, key in enumerate(("ctrl+r", "f5"), start=1):
        await desk.press(key)
        desk.client.finish()
        assert [type(request) for request in desk.client.requests[n_jobs:]] == [Measure, Generate] * at
        desk.client.finish()


async def test_run_from_an_editor_takes_its_text(desk: Desk) -> None:
    await desk.press("2", "i", "!", "ctrl+r")
    desk.client.give_way() if desk.client.cancelled else None
    assert desk.client.request.prompt.query == "!" + samples.QUERY


async def test_delta(desk: Desk) -> None:
    for key, lanes in (("ctrl+t", LANES), ("d", LANES[:2])):
        await desk.press(key)
        assert desk.client.request.lanes == lanes
        desk.client.finish(*samples.generate(lanes))


async def test_mode_and_components(desk: Desk) -> None:
    await desk.press("d", "p", "c")
    desk.client.give_way()
    assert (desk.client.request.recipe.mode, desk.client.request.recipe.components) == ("frozen", "weights")
    await desk.drawn()
    assert "frozen" in desk.text()


async def test_the_carrier_acts_where_a_patch_is_held(desk: Desk) -> None:
    await desk.press("d")
    desk.client.give_way()
    n_jobs = desk.client.job
    await desk.press("b")
    assert (desk.client.job, desk.explorer.settings.recipe.carrier) == (n_jobs, "bias")
    for mode in ("frozen", "compiled"):
        await desk.press("p")
        desk.client.give_way()
        assert (desk.client.request.recipe.mode, desk.client.request.recipe.carrier) == (mode, "bias")
        await desk.drawn()
        assert f"─ ΔW+bias · {mode} ─" in desk.text()


async def test_verify(desk: Desk) -> None:
    await desk.press("v")
    assert isinstance(desk.client.request, Verify)
    assert desk.screen.numbers.current == "verify"


async def test_escape_cancels_then_kills(desk: Desk) -> None:
    await desk.press("ctrl+r", "escape")
    assert desk.client.cancelled == [desk.client.job]
    await desk.press("escape")
    assert desk.client.n_kills == 1


async def test_escape_cancels_a_run_from_an_editor_too(desk: Desk) -> None:
    await desk.press("1", "ctrl+r", "escape")
    assert desk.client.cancelled == [desk.client.job]


async def test_escape_in_an_editor_leaves_it_and_lets_the_model_load() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.until(lambda: desk.client.job == 1)
        await desk.press("1", "escape")
        assert desk.screen.focused is desk.screen.numbers.stream
        assert desk.client.cancelled == []
        await desk.press("escape")
        assert desk.client.cancelled == [1]


async def test_letters_are_text_in_an_editor(desk: Desk) -> None:
    n_jobs = desk.client.job
    await desk.press("1", "i", "d", "v", "p", "z", "5", "question_mark")
    assert desk.screen.context.text.startswith("dvpz5?")
    assert desk.client.job == n_jobs


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_what_is_typed_ahead_of_a_jump_is_text(size: tuple[int, int]) -> None:
    async with open_desk(samples.session(), size=size) as desk:
        await desk.settle()
        n_jobs, screen = desk.client.job, desk.screen
        for jump in ("9", "3", "5", "4", "1", "i"):
            type_ahead(desk, jump)
        type_ahead(desk, *"dvpzcbuxt5", "tab", *"uxt", "shift+tab", "i")
        await desk.until(lambda: screen.context.text.startswith("dvpzcbuxt5i"))
        await desk.until(lambda: screen.question.text.startswith("uxt"))
        await desk.drawn()
        assert screen.focused is screen.context
        assert (desk.client.job, desk.explorer.settings.recipe.mode) == (n_jobs, "per-step")
        assert screen.numbers.current == "stream"
        assert "1 Context" in desk.text()


def type_ahead(desk: Desk, *keys: str) -> None:
    """Keys that are there all at once, as from a paste or a slow line."""
    for key in keys:
        desk.app.post_message(Key(key, key))


async def test_layers(desk: Desk) -> None:
    await desk.press("3", "g", "j", "space")
    await desk.until(lambda: desk.screen.layer_list.ticked == {0, 2, 3, 4, 5})
    assert "edited, ^r runs" in desk.text()
    await desk.press("i")
    await desk.until(lambda: desk.screen.layer_list.ticked == {1})
    await desk.press("n")
    await desk.until(lambda: desk.screen.layer_list.ticked == set())
    await desk.press("a")
    await desk.until(lambda: desk.screen.layer_list.ticked == set(range(samples.N_LAYERS)))
    await desk.press("enter")
    await desk.until(lambda: len(desk.screen.layer_list.ticked) == samples.N_LAYERS - 1)


async def test_layers_by_mouse(desk: Desk) -> None:
    await desk.pilot.click("#layers", offset=(2, 3))
    await desk.until(lambda: desk.screen.layer_list.ticked == {0, 1, 3, 4, 5})
    assert desk.screen.layer_list.shown_layer == 2


async def test_measure_and_scale(desk: Desk) -> None:
    await desk.press("5", "m")
    await desk.until(lambda: "log scale" in desk.text())
    await desk.press("y")
    numbers = desk.screen.numbers
    assert numbers.plots.measure == numbers.heatmap.measure == desk.screen.layer_list.measure == "patch_norm"
    assert not numbers.plots.is_log
    assert not numbers.heatmap.is_log
    await desk.until(lambda: "log scale" not in desk.text())
    await desk.press("M", "M")
    assert numbers.plots.measure == list(MEASURES)[-1], "round and round"


async def test_what_the_text_is_coloured_by(desk: Desk) -> None:
    strip = desk.screen.numbers.strip
    await desk.press("6", "s")  # in the table s sorts
    assert (desk.screen.numbers.current, strip.coloring) == ("text", "delta_norm"), (
        "from elsewhere it only shows it"
    )
    await desk.press("s")
    assert strip.coloring == "relative_patch_norm"
    await desk.press("S", "S")
    assert strip.coloring == list(COLORINGS)[-1], "round and round"


async def test_the_text_shares_unit_layer_and_scale(desk: Desk) -> None:
    numbers = desk.screen.numbers
    await desk.press("0", "g", "l", "l", "y")
    await desk.until(lambda: numbers.stream.unit == numbers.heatmap.unit == numbers.plots.unit == 2)
    assert not numbers.strip.is_log
    await desk.press("3", "k")
    await desk.until(lambda: numbers.strip.shown_layer == desk.screen.shown_layer)
    await desk.press("4", "j")
    await desk.until(lambda: numbers.strip.unit == 3)


async def test_what_is_plotted(desk: Desk) -> None:
    plots = desk.screen.numbers.plots
    await desk.press("w")
    assert (desk.screen.numbers.current, plots.view) == ("plots", "measure"), (
        "from elsewhere it only shows it"
    )
    for view in ("tokens", "alpha", "layers", "measure"):
        await desk.press("w")
        assert plots.view == view
    await desk.press("w")
    await desk.until(lambda: "the answer flips" in desk.text())


async def test_curves(desk: Desk) -> None:
    await desk.press("C")
    request = desk.client.request
    assert isinstance(request, Generate)
    assert (request.curves, request.lanes) == (True, LANES)
    assert (desk.screen.numbers.current, desk.screen.numbers.plots.view) == ("plots", "alpha")
    desk.client.finish(*samples.generate(LANES), PatchTested(patch=samples.VARIED))
    await desk.until(lambda: "against the strength α" in desk.text())


async def test_digits(desk: Desk) -> None:
    targets = {"lanes": "lane-context", "exam": "exam-patches"}
    for key, pane in zip("1234567890xut", PANES, strict=True):
        await desk.press("escape", key)
        focused = desk.screen.focused
        assert focused is not None
        assert focused.id == targets.get(pane, pane)


async def test_brackets_turn_tabs_round(desk: Desk) -> None:
    await desk.press("right_square_bracket")
    assert desk.screen.numbers.current == "plots"
    await desk.press("left_square_bracket", "left_square_bracket")
    assert desk.screen.numbers.current == "text"


async def test_tabs_by_mouse(desk: Desk) -> None:
    await desk.pilot.click("#numbers", offset=(13, 0))
    await desk.until(lambda: desk.screen.numbers.current == "plots")


async def test_tab_goes_round_the_panes(desk: Desk) -> None:
    seen = []
    for _ in range(7):
        await desk.press("tab")
        seen.append(desk.screen.focused and desk.screen.focused.id)
    assert seen == ["lane-context", "lane-plain", "lane-patched", "context", "query", "layers", "stream"]


async def test_zoom(desk: Desk) -> None:
    await desk.press("z")
    assert desk.screen.maximized is desk.screen.numbers
    await desk.press("escape")
    assert desk.screen.maximized is None
    await desk.press("3", "z")
    assert desk.screen.maximized is desk.screen.layer_list
    await desk.press("z")
    assert desk.screen.maximized is None


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_any_pane_fills_the_screen_and_goes_back(size: tuple[int, int]) -> None:
    async with open_desk(samples.session(), size=size) as desk:
        await desk.settle()
        screen = desk.screen
        is_paged = size == (80, 24)
        for pane in ("context", "query", "layers", "stream", "text", "lanes"):
            screen.view.action_show_pane(pane)
            await desk.drawn()
            before = [strip.text for strip in screen._compositor.render_strips()]
            screen.view.action_zoom_pane()
            await desk.drawn()
            filled = screen.maximized
            assert filled is not None, pane
            # Between the status line and the keys nothing else is left.
            assert filled.outer_size == (size[0], size[1] - 2), (pane, filled.outer_size)
            if pane == "lanes":
                assert filled is (screen.focused if is_paged else screen.answer)
            screen.view.action_zoom_pane()
            await desk.drawn()
            assert [strip.text for strip in screen._compositor.render_strips()] == before, pane


async def test_lanes_that_fill_the_screen_keep_their_strength(desk: Desk) -> None:
    await desk.press("9", "d")
    desk.client.finish(*samples.generate(("context", "plain", "patched")))
    await desk.press("z")
    await desk.drawn()
    assert any(line.startswith("α 0 ") for line in desk.text().splitlines()[-3:])
    assert "1 Context" not in desk.text()


async def test_a_zoom_lasts_from_tab_to_tab(desk: Desk) -> None:
    await desk.press("z", "right_square_bracket", "0")
    assert desk.screen.maximized is desk.screen.numbers
    assert desk.screen.numbers.current == "text"
    await desk.press("3")
    assert desk.screen.maximized is None


async def test_open(desk: Desk) -> None:
    for key in ("ctrl+l", "f3"):
        await desk.press(key)
        await desk.until(lambda: isinstance(desk.app.screen, OpenSessionDialog))
        await desk.press("escape")
        await desk.until(lambda: desk.app.screen is desk.screen)


async def test_save(desk: Desk) -> None:
    await desk.press("ctrl+s")
    await desk.until(lambda: isinstance(desk.app.screen, SaveSessionDialog))
    await desk.press("ctrl+q")
    await desk.until(lambda: desk.app.screen is desk.screen)


async def test_a_folder_is_no_file_to_save_to(desk: Desk, tmp_path: Path) -> None:
    for folder in (tmp_path / "plain", tmp_path / "named.json"):
        folder.mkdir()
    await desk.press("ctrl+s")
    await desk.until(lambda: isinstance(desk.app.screen, SaveSessionDialog))
    for path in ("plain", "plain/", ".", "~", "./named", "./named.json", str(tmp_path)):
        (tmp_path / "home").mkdir(exist_ok=True)
        desk.app.screen.query_one(".error", Static).update("")
        desk.app.screen.query_one(Input).value = path
        await desk.press("enter")
        await desk.until(lambda: "that is a folder: add a file name" in desk.text())
    assert not list(tmp_path.rglob("*.json/*"))
    assert not (tmp_path / "plain.json").exists()


async def test_help_and_quit_stay_in_a_narrow_footer() -> None:
    async with open_desk(samples.session(), size=(60, 18)) as desk:
        await desk.settle()
        last = desk.text().splitlines()[-1]
        assert all(label in last for label in ("Run", "ΔW", "? Help", "^q Quit", "^p palette"))
        await desk.pilot.resize_terminal(80, 24)
        await desk.until(lambda: "Save" in desk.text().splitlines()[-1])


async def test_new(desk: Desk) -> None:
    await desk.press("ctrl+n")
    await desk.until(lambda: desk.screen.context.text == "")
    assert desk.explorer.settings.prompt.query == ""


async def test_help(desk: Desk) -> None:
    for key in ("question_mark", "f1"):
        await desk.press(key)
        await desk.until(lambda: isinstance(desk.app.screen, HelpDialog))
        await desk.press("escape")
        await desk.until(lambda: desk.app.screen is desk.screen)


async def test_palette_runs_actions(desk: Desk) -> None:
    await desk.press("ctrl+p")
    await desk.until(lambda: isinstance(desk.app.screen, Palette))
    await desk.press(*"patch mode")
    await desk.press("enter")
    await desk.until(lambda: desk.explorer.settings.recipe.mode == "frozen")


async def test_every_action_exists_and_is_offered(desk: Desk) -> None:
    offers = {action.id for action in offered(desk.screen)}
    for action in ACTIONS:
        name = action.action.split("(")[0]
        owner = desk.app if name.startswith("app.") else desk.screen
        assert hasattr(owner, f"action_{name.removeprefix('app.')}"), action.id
        assert action.help.endswith((".", "?"))
        assert not action.group or action.id in offers


def test_ids_and_keys_are_unique() -> None:
    ids = [action.id for action in ACTIONS]
    keys = [key for action in ACTIONS for key in action.keys.split(",") if key]
    assert len(set(ids)) == len(ids)
    assert len(set(keys)) == len(keys)
    assert all(binding.id and binding.tooltip for binding in BINDINGS)  # type: ignore[union-attr]


def test_at_most_seven_keys_are_in_the_footer() -> None:
    assert sum(action.is_in_footer for action in ACTIONS) <= 7


def test_help_names_every_key() -> None:
    shown = " ".join(keys for rows in help_sections().values() for keys, _meaning in rows).split()
    for action in ACTIONS:
        if action.group and action.keys and not action.id.startswith("pane_"):
            assert set(action.keys_text().split()) <= set(shown)
