"""Each action of the table, by each of its keys, changes what it says it changes. A new action needs a case here."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from icltui.tui.actions import ACTIONS
from icltui.tui.actions.action import Action
from icltui.tui.state.pane_names import PANES, key_of
from icltui.values import Run, Session
from tests.tui import samples
from tests.tui.conftest import Desk


@dataclass(frozen=True)
class Case:
    """What a key changes."""

    value: Callable[[Desk], object]
    """Another one after the key than before it."""
    want: object = None
    """What it is then, if that matters."""
    before: tuple[str, ...] = ()
    """Keys that lead to where the key acts; the table has the focus at first."""
    keys: tuple[str, ...] = ()
    """Where the key is a widget's own."""
    session: Session | None = None
    """What lies on the screen, if not the sample."""


def dialog(desk: Desk) -> str:
    """The screen on top."""
    return type(desk.app.screen).__name__


def focused(desk: Desk) -> str | None:
    """The pane in focus."""
    return desk.screen.focused.id if desk.screen.focused else None


def n_jobs(desk: Desk) -> int:
    """How often the engine was asked."""
    return desk.client.job


def ticked(desk: Desk) -> object:
    """The ticked layers."""
    return desk.explorer.ticked


EVERY_LAYER = tuple(range(samples.N_LAYERS))
WORD = ("slash", *"oslo", "enter", "g")

THREE_RUNS = replace(
    samples.session(),
    runs=tuple(Run(number=n, parent=n - 1 or None, session=samples.session()) for n in (1, 2, 3)),
    run=2,
)


def alpha(desk: Desk) -> object:
    """The patch's strength."""
    return desk.explorer.settings.recipe.alpha


def run_at(desk: Desk) -> object:
    """The number of the run on the screen."""
    return desk.explorer.history.at


CASES = {
    "run": Case(n_jobs),
    "delta": Case(lambda desk: desk.explorer.settings.is_delta_on),
    "delta_letter": Case(lambda desk: desk.explorer.settings.is_delta_on),
    "verify": Case(lambda desk: desk.screen.numbers.current, "verify"),
    "stop": Case(lambda desk: len(desk.client.cancelled), before=("ctrl+r",)),
    "dynamics": Case(lambda desk: desk.explorer.settings.dynamics),
    "open_unit": Case(lambda desk: len(desk.toasts())),
    "reference": Case(lambda desk: desk.explorer.settings.reference),
    "positions": Case(lambda desk: desk.explorer.settings.prompt.positions),
    "chat": Case(lambda desk: desk.explorer.settings.prompt.chat),
    "mode": Case(lambda desk: desk.explorer.settings.recipe.mode),
    "components": Case(lambda desk: desk.explorer.settings.recipe.components),
    "carrier": Case(lambda desk: desk.explorer.settings.recipe.carrier),
    "weaker": Case(alpha, 0.95),
    "stronger": Case(alpha, 1.05),
    "much_weaker": Case(alpha, 0.5),
    "much_stronger": Case(alpha, 1.5),
    "little_weaker": Case(alpha, 0.99),
    "little_stronger": Case(alpha, 1.01),
    "curves": Case(n_jobs),
    "loss_curves": Case(n_jobs),
    "own_text": Case(n_jobs),
    "heads": Case(n_jobs),
    "effects": Case(n_jobs),
    "settings": Case(dialog, "SettingsDialog"),
    "queries": Case(dialog, "QueriesDialog"),
    "compile": Case(n_jobs),
    "force_compile": Case(n_jobs),
    "examine": Case(n_jobs, session=replace(samples.session(), holdout=samples.QUERIES[2:])),
    "toggle_layer": Case(ticked, before=("3", "g")),
    "all_layers": Case(ticked, EVERY_LAYER, before=("3", "n")),
    "no_layers": Case(ticked, (), before=("3", "a"), keys=("n",)),
    "invert_layers": Case(ticked, EVERY_LAYER, before=("3", "n")),
    "upward_layers": Case(ticked, EVERY_LAYER[1:], before=("3", "n", "g", "j")),
    "range_layers": Case(dialog, "AskTextDialog"),
    "measure": Case(lambda desk: desk.screen.measure),
    "previous_measure": Case(lambda desk: desk.screen.measure),
    "log": Case(lambda desk: desk.screen.is_log),
    "plot": Case(lambda desk: desk.screen.numbers.plots.view, before=("5",)),
    "shade": Case(lambda desk: desk.screen.numbers.strip.coloring, before=("0",)),
    "previous_shade": Case(lambda desk: desk.screen.numbers.strip.coloring, before=("0",)),
    "next_tab": Case(lambda desk: desk.screen.numbers.current, "plots"),
    "previous_tab": Case(lambda desk: desk.screen.numbers.current),
    "find": Case(lambda desk: desk.screen.find.find_bar.display, True),
    "find_next": Case(lambda desk: desk.screen.unit, 18, before=WORD),
    "find_previous": Case(lambda desk: desk.screen.unit, 18, before=WORD),
    "next_flip": Case(lambda desk: desk.screen.unit, 9, before=("g",)),
    "previous_flip": Case(lambda desk: desk.screen.unit, 9, before=("g",)),
    "next_peak": Case(lambda desk: desk.screen.unit, before=("g",)),
    "previous_peak": Case(lambda desk: desk.screen.unit, before=("g",)),
    "jump": Case(lambda desk: desk.screen.guide.jump_bar.display, True),
    "zoom": Case(lambda desk: desk.screen.maximized is not None, True),
    **{f"pane_{pane}": Case(focused, pane, before=("3",)) for pane in PANES},
    **{
        f"leap_{pane}": Case(focused, pane, before=("1" if pane == "query" else "2", "i"))
        for pane in PANES
        if key_of(pane).isdecimal()
    },
    "pane_layers": Case(focused, "layers"),
    "pane_lanes": Case(focused, "lane-context"),
    "leap_lanes": Case(focused, "lane-context", before=("2", "i")),
    "pane_exam": Case(focused, "exam-patches", before=("3",)),
    "earlier_run": Case(run_at, 1, session=THREE_RUNS),
    "later_run": Case(run_at, 3, session=THREE_RUNS),
    "runs": Case(dialog, "RunsDialog", session=THREE_RUNS),
    "note": Case(dialog, "AskTextDialog", session=THREE_RUNS),
    "fan": Case(dialog, "FanDialog", session=THREE_RUNS),
    "compare": Case(dialog, "RunsDialog", session=THREE_RUNS),
    "save": Case(dialog, "SaveSessionDialog"),
    "save_as": Case(dialog, "SaveSessionDialog"),
    "open": Case(dialog, "OpenSessionDialog"),
    "export": Case(dialog, "ExportDialog"),
    "figure": Case(lambda desk: len(desk.toasts())),
    "record": Case(lambda desk: desk.screen.recorder.n_frames),
    "copy": Case(lambda desk: len(desk.toasts())),
    "new": Case(lambda desk: desk.screen.context.text, ""),
    "model": Case(dialog, "LoadModelDialog"),
    "redraw": Case(lambda desk: desk.app._frame),
    "help": Case(dialog, "HelpDialog"),
    "manual": Case(dialog, "ManualDialog"),
    "palette": Case(dialog, "Palette"),
    "theme": Case(dialog, "Palette"),
    "tour": Case(lambda desk: desk.screen.guide.tour_card.display, True),
    "quit": Case(dialog, "UnsavedDialog", before=("3", "space")),
}


def test_every_action_has_a_case() -> None:
    assert set(CASES) == {action.id for action in ACTIONS}


@pytest.mark.parametrize("group", sorted({action.group for action in ACTIONS}))
async def test_every_key_does_what_it_says(desk: Desk, group: str) -> None:
    """One desk for all of a group, brought to rest after each key."""
    for action in ACTIONS:
        if action.group == group:
            for key in CASES[action.id].keys or action.keys.split(","):
                await try_key(desk, action, key)
                await rest(desk)


async def try_key(desk: Desk, action: Action, key: str) -> None:
    """Press it; without a key do as the palette does."""
    case = CASES[action.id]
    if case.session:
        desk.explorer.open(case.session, None)
        await desk.drawn()
    await desk.press(*case.before)
    await desk.drawn()
    was = case.value(desk)
    if key:
        await desk.press(key)
    else:
        await desk.screen.run_action(action.action)
    try:
        await desk.until(lambda: case.value(desk) != was)
    except AssertionError as error:
        raise AssertionError(f"{key or 'the palette'} for {action.id}: {was!r} as before") from error
    assert case.want is None or case.value(desk) == case.want, (action.id, key)


async def rest(desk: Desk) -> None:
    """Close what was opened, answer what was asked, and look at the table of the sample again."""
    while desk.app.screen is not desk.screen:
        await desk.press("escape")
    screen = desk.screen
    if screen.find.find_bar.display or screen.guide.jump_bar.display:
        await desk.press("escape")
    if desk.client.cancelled and desk.explorer.jobs.is_stopping:
        desk.client.give_way()
    screen.guide.end_tour()
    await desk.settle()
    desk.explorer.is_unsaved = False
    explorer = desk.explorer
    if explorer.settings.prompt.query != samples.QUERY or explorer.document.path or explorer.history.runs:
        desk.explorer.open(samples.session(), None)
        await desk.drawn()
    screen.view.action_show_pane("stream")
