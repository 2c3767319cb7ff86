"""What the explorer looks like in each of its states: a picture shows its panes alone, a few the whole frame.

At the design size a picture (SVG), at the small size lines of text, and on light and without colours, where colour
decides, lines with their styles; ``--rewrite`` writes the texts anew, ``--snapshot-update`` the pictures.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widget import Widget

from icltui.api.messages import (
    CompileEnded,
    CurvesEnded,
    EffectsEnded,
    ExamEnded,
    HeadsEnded,
    LoadModel,
    ModelLoaded,
    PatchTested,
    Progress,
    StrengthGenerated,
    VerificationEnded,
)
from icltui.tui.app import IcltuiApp
from icltui.tui.draw.svg import pane_strips, svg_of
from icltui.tui.state.query_lists import QueryLists
from icltui.tui.state.tour import STEPS
from icltui.values import LANES
from tests.tui import inspections, samples
from tests.tui.conftest import Desk
from tests.tui.fake_client import FakeClient
from tests.tui.golden_text import compare_text
from tests.tui.state.test_looking_ahead import at
from tests.tui.styled_text import LOOKS, as_it_was, styled_text

TEXTS = Path(__file__).parent / "texts"
Compare = Callable[..., bool]
Scene = Callable[[Desk], Awaitable[None]]


async def start(desk: Desk) -> None:
    """The example, before the model is there."""


async def streaming(desk: Desk) -> None:
    """Half of the units."""
    desk.client.finish(samples.LOADED)
    desk.client.send(desk.client.job, samples.TOKENIZED, samples.chunk(0, 8))


async def delta(desk: Desk) -> None:
    """Three lanes."""
    await desk.settle()
    await desk.press("ctrl+t")
    desk.client.finish(*samples.generate(LANES))


async def lanes(desk: Desk) -> None:
    """Three lanes, and the focus on them."""
    await delta(desk)
    await desk.press("9")


async def lane_tokens(desk: Desk) -> None:
    """The cursor on a token of the lanes, one of its alternatives chosen, shaded by p."""
    await lanes(desk)
    await desk.press("tab", "l", "l", "j", "s")


async def strengths(desk: Desk) -> None:
    """A strength that was generated ahead, and KL at those that are known."""
    await desk.settle()
    desk.explorer.looks_ahead = True
    await desk.press("9", "d")
    desk.client.finish(*samples.generate(LANES))
    alphas = (0.5, 0.9, 0.95, 1.05, 1.1, 1.5)
    desk.client.send(desk.client.job, *(StrengthGenerated(generation=at(alpha)) for alpha in alphas))
    await desk.press("right")


async def compiled(desk: Desk) -> None:
    """A patch compiled on many tokens, and what it does elsewhere."""
    await desk.settle()
    await desk.press("9", "d", "p", "p")
    desk.client.give_way()
    desk.client.finish(*samples.generate(LANES), PatchTested(patch=samples.PATCH))


async def heatmap(desk: Desk) -> None:
    """The heatmap, its crosshair moved."""
    await desk.settle()
    await desk.press("6", "h", "h", "j", "j")


async def patch_effects(desk: Desk) -> None:
    """What each layer's patch does alone, of the context up to each unit."""
    await desk.settle()
    await desk.press("E")
    desk.client.finish(EffectsEnded(effects=inspections.effects()))
    await desk.press("k", "h", "h")
    await desk.drawn()


async def sorted_rows(desk: Desk) -> None:
    """The table by its greatest numbers."""
    await desk.settle()
    await desk.press("s", "k", "k")


async def zoomed_layers(desk: Desk) -> None:
    """The layers on the whole screen."""
    await desk.settle()
    await desk.press("3", "z", "k")


async def plots(desk: Desk) -> None:
    """The plots of ‖ΔW‖ on a log scale."""
    await desk.settle()
    await desk.press("5", "m", "y")
    await desk.until(lambda: desk.screen.numbers.plots._timer is None)


async def text(desk: Desk) -> None:
    """The context's own text, one unit selected."""
    await desk.settle()
    await desk.press("0", "k", "h")


async def dropped_text(desk: Desk) -> None:
    """A colouring that the numbers do not have."""
    await desk.settle()
    await desk.press("0", "s", "s", "s")


async def flips(desk: Desk) -> None:
    """The next tokens by unit, and where the answer flips."""
    await desk.settle()
    await desk.press("5", "w")
    await desk.until(lambda: desk.screen.numbers.plots._timer is None)


async def curves(desk: Desk) -> None:
    """A patch that was varied, on a log scale."""
    await desk.settle()
    await desk.press("C")
    desk.client.finish(*samples.generate(LANES), PatchTested(patch=samples.VARIED))
    await desk.press("y")
    await desk.drawn()
    await desk.until(lambda: desk.screen.numbers.plots._timer is None)


async def querying(desk: Desk) -> None:
    """Queries that are typed, one of them twice."""
    await desk.settle()
    desk.explorer.change_queries(QueryLists(samples.QUERIES[:2], samples.QUERIES[2:]))
    await desk.settle()
    await desk.press("Q", "enter", *" [/INST]", "tab", "enter", *samples.QUERIES[0])


async def chosen(desk: Desk) -> None:
    """What a compilation has tried."""
    await desk.settle()
    await desk.press("W")
    desk.client.finish(CompileEnded(compilation=samples.COMPILATION))
    await desk.settle()
    await desk.until(lambda: desk.screen.numbers.plots._timer is None)


async def examined(desk: Desk) -> None:
    """A compiled patch, and an exam with a row that could not be made, at the answers of another."""
    await chosen(desk)
    desk.explorer.change_queries(QueryLists(samples.QUERIES[:2], samples.QUERIES[2:]))
    await desk.settle()
    await desk.press("X")
    desk.client.finish(ExamEnded(exam=samples.exam()))
    await desk.drawn()
    await desk.press("G", "tab", "j")


async def losses(desk: Desk) -> None:
    """The loss at each position, the cursor moved."""
    await desk.settle()
    await desk.press("I")
    desk.client.finish(CurvesEnded(curves=inspections.curves()))
    await desk.drawn()
    await desk.press("h", "h")


async def own_text(desk: Desk) -> None:
    """The given text against the model's own."""
    await losses(desk)
    await desk.press("w", "w", "w")


async def induction(desk: Desk) -> None:
    """Heads by layer, the crosshair at the strongest."""
    await desk.settle()
    await desk.press("K")
    desk.client.finish(HeadsEnded(heads=inspections.heads()))


async def split(desk: Desk) -> None:
    """δ of a layer by head and unit."""
    await induction(desk)
    await desk.drawn()
    await desk.press("j", "w", "w", "l")


async def proof(desk: Desk) -> None:
    """The verification."""
    await desk.settle()
    await desk.press("v")
    desk.client.finish(VerificationEnded(verification=samples.VERIFICATION))


async def edited(desk: Desk) -> None:
    """An edited context and an unticked layer, with older numbers beside them."""
    await desk.settle()
    await desk.press("3", "j", "space", "1", "i", "H", "i", ".", " ")
    desk.client.give_way() if desk.client.cancelled else None


async def loading(desk: Desk) -> None:
    """A model on its way, in bytes."""
    desk.client.send(1, Progress(stage="loading gpt2", done=312_000_000, total=548_105_171))


async def shrunk(desk: Desk) -> None:
    """Units that leave from the left, hidden from each layer's own attention; a choice beside it that no run took."""
    await desk.settle()
    await desk.press("D", "R", "ctrl+r")
    await desk.settle()
    await desk.press("g", "j", "P")


async def bars(desk: Desk) -> None:
    """Units that are missing one at a time, as bars of one layer beside the others' dots."""
    await dropped(desk)
    await desk.press("5")
    await desk.drawn()


async def pinned(desk: Desk) -> None:
    """A curve that is pinned, the line of another layer in focus."""
    await plots(desk)
    await desk.press("k", "plus", "k", "k", "h", "h")
    await desk.drawn()


async def panels(desk: Desk) -> None:
    """A small panel for each layer."""
    await plots(desk)
    await desk.press("V", "k", "h")
    await desk.drawn()


async def dropped(desk: Desk) -> None:
    """The heatmap of units that are missing one at a time."""
    await desk.settle()
    await desk.press("D", "D", "ctrl+r")
    await desk.settle()
    await desk.press("6", "h", "h")


async def refused(desk: Desk) -> None:
    """A layer that cannot be used, under the cursor, and the loop."""
    desk.client.finish(ModelLoaded(model=samples.ODD_MODEL))
    await desk.settle()
    await desk.press("3", "k", "k")
    await desk.press("8")


async def help_screen(desk: Desk) -> None:
    """The help."""
    await desk.settle()
    await desk.press("question_mark")


async def exporting(desk: Desk) -> None:
    """What can be exported from the heatmap."""
    await desk.settle()
    await desk.press("6", "e", "down", "down", "down")


async def tree(desk: Desk) -> None:
    """The tree of runs, with the one under the cursor at a glance."""
    await desk.settle()
    desk.explorer.open(samples.family(), None)
    await desk.settle()
    await desk.press("H")


async def beside(desk: Desk) -> None:
    """Two runs side by side, whose texts part."""
    await tree(desk)
    await desk.press("space", "j", "space", "c")


async def grid(desk: Desk) -> None:
    """A fan of which two runs are there, one is on its way, and one waits."""
    await tree(desk)
    await desk.press("escape")
    desk.explorer.go_to_run(1)
    desk.explorer.fan_out("alpha 0 0.5 1 1.5")
    await desk.press("ampersand")


async def lanes_explained(desk: Desk) -> None:
    """The help on the lanes."""
    await lanes(desk)
    await desk.press("question_mark")


async def finding(desk: Desk) -> None:
    """A word while it is typed."""
    await desk.settle()
    await desk.press("slash", *"rome")


async def jumping(desk: Desk) -> None:
    """A letter on every pane."""
    await desk.settle()
    await desk.press("ctrl+o")


async def touring(desk: Desk) -> None:
    """The tour's first step."""
    await desk.settle()
    desk.screen.guide.tour_card.show(STEPS[0])


async def dead(desk: Desk) -> None:
    """An engine that is gone."""
    await desk.settle()
    desk.client.die("the engine was ended by signal 9 (SIGKILL)", "CUDA error: device-side assert triggered")


WHOLE = "Screen"
"""All of the frame: status line, panes, tabs and keys."""
DIALOG = "ModalScreen > *"
STREAM, PLOTS, HEATMAP, TEXT, PROOF, LOG = "#stream", "#plots", "#heatmap", "#text", "#verify", "#log"
EXAM, CURVES, HEADS = "#exam", "#curves", "#heads"
PICTURES: dict[Scene, str] = {
    start: STREAM,
    loading: "StatusLine",
    streaming: STREAM,
    delta: WHOLE,
    compiled: "#lane-patched, #patch-sentence",
    lane_tokens: "#lanes",
    strengths: "#lane-patched, #alpha-knob",
    heatmap: HEATMAP,
    patch_effects: HEATMAP,
    plots: PLOTS,
    bars: PLOTS,
    pinned: PLOTS,
    panels: PLOTS,
    text: TEXT,
    dropped_text: TEXT,
    flips: PLOTS,
    curves: PLOTS,
    losses: CURVES,
    own_text: CURVES,
    induction: HEADS,
    split: HEADS,
    proof: PROOF,
    chosen: PLOTS,
    examined: EXAM,
    edited: "#body",
    shrunk: STREAM,
    dropped: HEATMAP,
    refused: "#layers, #log",
    help_screen: DIALOG,
    lanes_explained: DIALOG,
    finding: f"{STREAM}, FindBar",
    jumping: "#context, JumpBar",
    touring: "TourCard",
    dead: "#banner, StatusLine",
    exporting: DIALOG,
    tree: DIALOG,
    beside: DIALOG,
    grid: DIALOG,
}
"""At 120×40: the panes of each scene."""
SMALL: dict[Scene, str] = {
    start: STREAM,
    streaming: STREAM,
    lanes: WHOLE,
    compiled: "#lane-patched, #patch-sentence",
    lane_tokens: "#lanes",
    strengths: "#alpha-knob",
    heatmap: HEATMAP,
    plots: PLOTS,
    panels: PLOTS,
    text: TEXT,
    flips: PLOTS,
    losses: CURVES,
    split: HEADS,
    proof: PROOF,
    querying: DIALOG,
    examined: EXAM,
    edited: "#context, #query",
    refused: LOG,
    help_screen: DIALOG,
    exporting: DIALOG,
    tree: DIALOG,
    beside: DIALOG,
    touring: "TourCard",
    dead: "#banner",
}
"""At 80×24, one page at a time."""
COLOURED = (streaming, heatmap, dropped_text, flips, induction, dead, tree)
"""Where colour says something: at 120×40 on light and without colours as well."""


def panes(app: IcltuiApp, selector: str) -> list[Strip]:
    """The lines of the panes that the selector names, one pane below the other, as Textual draws them."""
    if selector == WHOLE:
        return app.screen._compositor.render_strips()
    found = [pane for pane in app.screen.query(selector).results(Widget) if pane.size]
    assert len(found) == selector.count(",") + 1, f"{selector}: {found}"
    return [strip for pane in found for strip in pane_strips(pane)]


def app_of(client: FakeClient) -> IcltuiApp:
    """The explorer on the sample session."""
    return IcltuiApp(client, LoadModel(), samples.session(), Path("capital-conflict.json"))


async def play(scene: Scene, desk: Desk) -> None:
    """The scene, until all of it is drawn."""
    await desk.until(lambda: desk.client.requests)
    await scene(desk)
    await desk.drawn()


def shows(scene: Scene, selector: str, size: tuple[int, int], compare: Compare) -> bool:
    """Whether the panes of ``scene`` look as they did."""
    client = FakeClient()
    app = app_of(client)

    async def run(pilot: Pilot[None]) -> None:
        await play(scene, Desk(client, app, pilot))
        picture = re.sub(r"icltui-[0-9a-f]{12}", "pane", svg_of(panes(app, selector), scene.__name__))
        app.export_screenshot = lambda **_: picture  # type: ignore[method-assign]

    return compare(app, terminal_size=size, run_before=run)


def names(scenes: Sequence[Scene]) -> list[str]:
    """What the scenes are called."""
    return [scene.__name__ for scene in scenes]


@pytest.mark.parametrize("scene", PICTURES, ids=names(tuple(PICTURES)))
def test_picture(scene: Scene, snap_compare: Compare) -> None:
    assert shows(scene, PICTURES[scene], (120, 40), snap_compare)


def test_too_small(snap_compare: Compare) -> None:
    assert shows(start, WHOLE, (50, 12), snap_compare)


@pytest.mark.parametrize("scene", SMALL, ids=names(tuple(SMALL)))
async def test_small(scene: Scene, is_rewritten: bool) -> None:
    client = FakeClient()
    app = app_of(client)
    async with app.run_test(size=(80, 24)) as pilot:
        await play(scene, Desk(client, app, pilot))
        lines = [strip.text.rstrip() for strip in panes(app, SMALL[scene])]
        compare_text("\n".join(lines) + "\n", TEXTS / f"{scene.__name__}-80x24.txt", is_rewritten)


@pytest.mark.parametrize("scene", COLOURED, ids=names(COLOURED))
async def test_without_the_usual_colours(scene: Scene, is_rewritten: bool) -> None:
    client = FakeClient()
    app = app_of(client)
    async with app.run_test(size=(120, 40)) as pilot:
        desk = Desk(client, app, pilot)
        await play(scene, desk)
        for name, change in LOOKS.items():
            change(app)
            await desk.drawn()
            golden = TEXTS / f"{scene.__name__}-120x40-{name}.txt"
            compare_text(styled_text(panes(app, PICTURES[scene])), golden, is_rewritten)
        as_it_was(app)
