"""What is loaded before the first frame, as the interpreter itself sees it: the rest waits until it is first shown."""

import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import pytest
from textual.color import Color
from textual.css.stylesheet import Stylesheet
from textual.dom import DOMNode

from icltui.storage.config import Config
from tests.tui.conftest import Desk, open_desk
from tests.waiting import PATIENCE

FIRST_FRAME = """
import asyncio, sys
from icltui.api.messages import LoadModel
from icltui.tui.app import IcltuiApp
from tests.tui.fake_client import FakeClient

async def show():
    app = IcltuiApp(FakeClient(), LoadModel())
    async with app.run_test(size=(120, 40)):
        print(*sys.modules, sep="\\n")

asyncio.run(show())
"""
WAITS = (
    "icltui.tui.main.rows_screen",
    "icltui.tui.main.export_offers",
    "icltui.tui.draw.svg",
    "icltui.tui.draw.pane_help",
    "icltui.tui.draw.plots",
    "icltui.tui.draw.plotext_renderer",
    "icltui.tui.draw.heatmap_lines",
    "icltui.tui.widgets.plot_panel",
    "icltui.tui.widgets.heatmap",
    "icltui.tui.widgets.token_strip",
    "icltui.tui.widgets.exam_view",
    "icltui.tui.widgets.heads_view",
    "icltui.tui.widgets.loss_view",
    "icltui.tui.widgets.log_view",
    "icltui.tui.widgets.verify_view",
    "icltui.report.session_comparison",
    "icltui.report.session_formats",
    "icltui.storage.database",
    "plotext",
    "markdown_it",
    "torch",
    "transformers",
)
MOST_OWN = 190
"""Modules of our own; each costs a third of a millisecond."""


def test_what_is_not_shown_is_not_loaded() -> None:
    run = subprocess.run(
        [sys.executable, "-c", FIRST_FRAME], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    loaded = set(run.stdout.split())
    assert "icltui.tui.widgets.stream_table" in loaded
    assert not loaded & set(WAITS)
    dialogs = {name for name in loaded if name.startswith("icltui.tui.dialogs.")}
    assert dialogs <= {"icltui.tui.dialogs.dialog"}
    own = [name for name in loaded if name.startswith("icltui.")]
    assert len(own) <= MOST_OWN, sorted(own)


async def test_a_pane_that_fills_the_screen_restyles_no_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    styled: list[str | None] = []
    update = Stylesheet.update_nodes

    def count(self: Stylesheet, nodes: Iterable[DOMNode], animate: bool = False) -> None:
        found = list(nodes)
        styled.extend(node.id for node in found)
        update(self, found, animate)

    monkeypatch.setattr(Stylesheet, "update_nodes", count)
    for key in ("z", "z"):
        styled.clear()
        await desk.press(key)
        await desk.drawn()
        assert set(styled) <= {None, "numbers"}, "the screen and the pane"


async def test_nothing_is_styled_twice_as_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    styled: list[str] = []
    apply = Stylesheet.apply

    def note(self: Stylesheet, node: DOMNode, **how: Any) -> None:
        if not node.is_attached:
            styled.append(type(node).__name__)
        apply(self, node, **how)

    monkeypatch.setattr(Stylesheet, "apply", note)
    monkeypatch.setattr(Stylesheet, "reparse", lambda _self: styled.append("all"))
    async with open_desk():
        assert not styled


@pytest.mark.parametrize("theme", ["icltui-light", "nord", ""])
async def test_the_first_frame_has_the_colours_of_the_theme(theme: str) -> None:
    async with open_desk(config=Config(theme=theme)) as desk:
        wanted = desk.app.get_theme(theme or "icltui-dark")
        assert wanted
        assert desk.app.current_theme is wanted
        assert desk.screen.styles.background == Color.parse(wanted.background)
