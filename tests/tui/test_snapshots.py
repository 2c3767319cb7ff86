"""What the explorer looks like in each of its states, at its design size and at its small one.

On dark as a picture, on light and without colours as lines with their styles; ``--rewrite`` writes the latter anew.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from icltui.api.messages import LoadModel, ModelLoaded, PatchTested, Progress, VerificationEnded
from icltui.tui.app import IcltuiApp
from icltui.tui.state.tour import STEPS
from icltui.values import LANES
from tests.tui import samples
from tests.tui.conftest import Desk
from tests.tui.fake_client import FakeClient
from tests.tui.look import LOOKS, as_it_was, look_of

GOLDENS = Path(__file__).parent / "looks"
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


async def proof(desk: Desk) -> None:
    """The verification."""
    await desk.settle()
    await desk.press("v")
    desk.client.finish(VerificationEnded(verification=samples.VERIFICATION))


async def edited(desk: Desk) -> None:
    """An edited context and an unticked layer, with older numbers beside them."""
    await desk.settle()
    await desk.press("3", "j", "space", "1", "H", "i", ".", " ")
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
    await desk.press("8") if desk.app.size.width >= 100 else None


async def help_screen(desk: Desk) -> None:
    """The help."""
    await desk.settle()
    await desk.press("question_mark")


async def exporting(desk: Desk) -> None:
    """What can be exported from the heatmap."""
    await desk.settle()
    await desk.press("6", "e", "down", "down")


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
    desk.screen.tour_card.show(STEPS[0])


async def dead(desk: Desk) -> None:
    """An engine that is gone."""
    await desk.settle()
    desk.client.die("the engine was ended by signal 9 (SIGKILL)", "CUDA error: device-side assert triggered")


def shows(scene: Scene, size: tuple[int, int], compare: Compare, looks: dict[str, str] | None = None) -> bool:
    """Whether ``scene`` looks as it did; what it looks like otherwise is put into ``looks``."""
    client = FakeClient()
    app = IcltuiApp(client, LoadModel(), samples.session(), Path("capital-conflict.json"))

    async def play(pilot: Pilot[None]) -> None:
        desk = Desk(client, app, pilot)
        await desk.until(lambda: client.requests)
        await scene(desk)
        await desk.drawn()
        if looks is not None:
            for name, change in LOOKS.items():
                change(app)
                await desk.drawn()
                looks[name] = look_of(app)
            as_it_was(app)
            await desk.drawn()

    return compare(app, terminal_size=size, run_before=play)


SCENES = (
    start,
    loading,
    streaming,
    delta,
    compiled,
    heatmap,
    plots,
    text,
    dropped_text,
    flips,
    curves,
    proof,
    edited,
    shrunk,
    dropped,
    refused,
    help_screen,
    lanes_explained,
    finding,
    jumping,
    touring,
    dead,
    lanes,
    exporting,
)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
@pytest.mark.parametrize("scene", SCENES, ids=[scene.__name__ for scene in SCENES])
def test_screen(
    scene: Scene, size: tuple[int, int], snap_compare: Compare, pytestconfig: pytest.Config
) -> None:
    looks: dict[str, str] = {}
    assert shows(scene, size, snap_compare, looks)
    for name, look in looks.items():
        golden = GOLDENS / f"{scene.__name__}-{size[0]}x{size[1]}-{name}.txt"
        if pytestconfig.getoption("rewrite"):
            golden.write_text(look, encoding="utf-8")
        assert golden.read_text(encoding="utf-8").splitlines() == look.splitlines(), golden.name


def test_too_small(snap_compare: Compare) -> None:
    assert shows(start, (50, 12), snap_compare)
