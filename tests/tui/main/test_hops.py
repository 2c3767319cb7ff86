"""How many functions hand a row on, from the client's delivery to the line that shows it in the table."""

import sys
from pathlib import Path
from types import CodeType, FrameType

import icltui
from icltui.tui.main.redraw import Redraw
from icltui.tui.state.change import Change
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.widgets.stream_table import StreamTable
from tests.docs.blocks import walks
from tests.tui import samples
from tests.tui.conftest import open_desk

MOST_HOPS = 8
PACKAGE = str(Path(icltui.__file__).parent)
STOPS = [
    MeasuredUnits.add,  # where the row comes to rest
    Redraw.note,  # what wakes the drawing, in the screen's own queue
    StreamTable.advance,  # what shows that there is a new line
    StreamTable.render_line,  # what Textual asks for it
]


def ours(frame: FrameType | None) -> list[CodeType]:
    """The package's functions under way, the innermost last."""
    codes = []
    while frame is not None:
        if frame.f_code.co_filename.startswith(PACKAGE):
            codes.append(frame.f_code)
        frame = frame.f_back
    return codes[::-1]


async def test_a_row_reaches_its_line_in_few_hops() -> None:
    """Every function of the package that is under way at one of the stops is a hop."""
    hops: dict[CodeType, tuple[str, str]] = {}
    reached = set()
    stops = {stop.__code__ for stop in STOPS}

    def watch(frame: FrameType, event: str, _argument: object) -> None:
        if event != "call" or frame.f_code not in stops:
            return
        if frame.f_code is Redraw.note.__code__ and frame.f_locals["change"] is not Change.NUMBERS:
            return
        reached.add(frame.f_code)
        for code in ours(frame):
            hops[code] = (Path(code.co_filename).relative_to(PACKAGE).as_posix(), code.co_qualname)

    async with open_desk(samples.session(is_measured=False)) as desk:
        await desk.until(lambda: desk.client.job == 1)
        desk.client.finish(samples.LOADED)
        desk.client.send(2, samples.TOKENIZED, samples.chunk(0, 1))
        await desk.drawn()
        sys.setprofile(watch)
        try:
            desk.client.send(2, samples.chunk(2, 2))
            await desk.drawn()
        finally:
            sys.setprofile(None)
        assert "Spain" in desk.text()
    assert reached == stops
    assert len(hops) <= MOST_HOPS, hops.values()
    assert list(hops.values()) == walks()["A row"], "the manual's page of the architecture says otherwise"
