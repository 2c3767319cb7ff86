"""The real engine's own words: they still decode, the engine still says the like, and the screen they make is known.

The screens are plain text, compared line by line: ``--rewrite`` writes them, and the transcript, anew.
"""

from collections.abc import Awaitable, Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import pytest

import icltui
from icltui.api.messages import Event
from icltui.tui.app import IcltuiApp
from icltui.tui.draw.svg import pane_strips
from icltui.values import Generation, Session
from tests.tui.conftest import Desk
from tests.tui.golden_text import compare_text
from tests.tui.transcript import LOAD, N_TOKENS, PROMPT, RECORDED, ReplayClient, Transcript, record

GOLDENS = Path(__file__).parent / "goldens"
SESSION = Session(title="capital", created="2026-01-01T00:00:00+00:00", prompt=PROMPT, n_tokens=N_TOKENS)


# The transcript.


def leaves(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Where a value stands, without indices, and its kind; a number that may be missing is of one kind."""
    if isinstance(value, dict):
        for key, held in value.items():
            yield from leaves(held, f"{at}.{key}")
    elif isinstance(value, list | tuple):
        for held in value:
            yield from leaves(held, f"{at}[]")
    else:
        is_number = isinstance(value, int | float | None) and not isinstance(value, bool)
        yield at, "number" if is_number else type(value).__name__


def shape(events: list[Event]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The kinds of events in their order, those that repeat once, each with all that is in it."""
    found = []
    for kind, same in groupby(events, key=type):
        inside = {leaf for event in same for leaf in leaves(msgspec.to_builtins(event))}
        found.append((kind.__name__, sorted(inside)))
    return found


async def test_the_engine_says_what_was_recorded(
    tmp_path: Path, is_rewritten: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(icltui.__file__).parents[1]))
    lines = await record(tmp_path / "log")
    if is_rewritten:
        RECORDED.write_bytes(b"".join(lines))
    fresh, recorded = Transcript(lines), Transcript.recorded()
    assert fresh.hello is not None
    assert recorded.hello is not None
    assert fresh.hello.protocol == recorded.hello.protocol
    assert [request for request, _ in fresh.answers] == [request for request, _ in recorded.answers]
    for (request, said), (_, once) in zip(fresh.answers, recorded.answers, strict=True):
        assert shape(said) == shape(once), f"--rewrite records anew what the engine says to {request}"


def test_the_transcript_is_small() -> None:
    assert RECORDED.stat().st_size < 100_000


# The main path on the screen.


async def ran(desk: Desk) -> None:
    """Opened, measured and generated."""


async def patched(desk: Desk) -> None:
    """ΔW on."""
    await desk.press("ctrl+t")
    await desk.until(lambda: "patched" in desk.explorer.results.texts.steps)


async def lanes(desk: Desk) -> None:
    """ΔW on, the lanes in sight on a small terminal too."""
    await patched(desk)
    await desk.press("9")


async def heatmap(desk: Desk) -> None:
    """The heatmap in characters, as without colours, its cursor two units back."""
    desk.screen.numbers.heatmap.glyphs = True
    await desk.press("6", "h", "h")


async def verified(desk: Desk) -> None:
    """The proof."""
    await desk.press("v")
    await desk.until(lambda: desk.explorer.results.verification)


LARGE, SMALL = (120, 40), (80, 24)
WHOLE = "Screen"
PICTURES = {
    (ran, LARGE): WHOLE,
    (ran, SMALL): "#stream",
    (heatmap, LARGE): "#heatmap",
    (lanes, SMALL): "#lanes",
    (verified, LARGE): "#verify",
    (verified, SMALL): "#verify",
}
"""The scenes, their sizes, and the pane that is compared."""


@pytest.mark.parametrize(
    ("scene", "size"), PICTURES, ids=[f"{scene.__name__}-{size[0]}x{size[1]}" for scene, size in PICTURES]
)
async def test_the_main_path_looks_as_it_did(
    scene: Callable[[Desk], Awaitable[None]], size: tuple[int, int], is_rewritten: bool
) -> None:
    client = ReplayClient(Transcript.recorded())
    app = IcltuiApp(client, LOAD, SESSION)
    async with app.run_test(size=size) as pilot:
        desk = Desk(client, app, pilot)  # type: ignore[arg-type]
        await desk.until(lambda: desk.explorer.results.generation and desk.explorer.jobs.request is None)
        await scene(desk)
        await desk.until(lambda: desk.explorer.jobs.request is None)
        await desk.drawn()
        pane = PICTURES[scene, size]
        lines = (
            desk.text().splitlines()
            if pane == WHOLE
            else [s.text for s in pane_strips(app.screen.query_one(pane))]
        )
        golden = GOLDENS / f"{scene.__name__}-{size[0]}x{size[1]}.txt"
        compare_text("\n".join(lines), golden, is_rewritten)


async def test_the_main_path_says_the_same_without_the_context() -> None:
    client = ReplayClient(Transcript.recorded())
    app = IcltuiApp(client, LOAD, SESSION)
    async with app.run_test(size=(120, 40)) as pilot:
        desk = Desk(client, app, pilot)  # type: ignore[arg-type]
        await desk.until(lambda: desk.explorer.results.generation and desk.explorer.jobs.request is None)
        await patched(desk)
        await desk.until(lambda: desk.explorer.jobs.request is None)
        generation = desk.explorer.results.generation
        assert isinstance(generation, Generation)
        texts = {lane: text.token_ids for lane, text in generation.lanes.items()}
        assert texts["patched"] == texts["context"] != texts["plain"]
