"""Any text at all, in every place where the explorer shows one: nothing ends it, and nothing reaches the terminal.

Each place is one line of ``PLACES``: what brings it to the screen. What the engine says, what a session holds, file
names and the editors are hostile all at once; then every line of the screen is looked at.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from textual import events
from textual.widgets import Input, TextArea

from icltui.api.messages import (
    Compile,
    CompileEnded,
    Event,
    ExamEnded,
    Examine,
    Generate,
    LoadModel,
    Measure,
    ModelEstimated,
    PatchTested,
    Progress,
    Request,
    VerificationEnded,
    Verify,
)
from icltui.storage.paths import sessions_folder
from icltui.storage.sessions import write_session
from icltui.tui.state.query_lists import QueryLists
from icltui.tui.widgets.messages import Noticed
from icltui.values import LANES, Session
from icltui.values.prompt import Prompt
from tests.hostile import TEXTS, TOKENS, poisoned
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk
from tests.tui.screen_checks import check_screen

Show = Callable[[Desk, list[str]], Awaitable[None]]


def keys(*pressed: str) -> Show:
    """The place that these keys lead to."""

    async def show(desk: Desk, _texts: list[str]) -> None:
        await desk.press(*pressed)

    return show


def dialog(*pressed: str, then: tuple[str, ...] = ()) -> Show:
    """A dialog that these keys open; the texts go into its field, if it has one, and ``then`` these are pressed."""

    async def show(desk: Desk, texts: list[str]) -> None:
        await desk.press(*pressed)
        await desk.until(lambda: desk.app.screen is not desk.screen)
        await desk.pilot.pause()
        for field in desk.app.screen.query(Input):
            field.focus()
            field.post_message(events.Paste(texts[0]))
            await desk.pilot.pause()
        check_screen(desk.app)
        await desk.press(*then)

    return show


async def banner(desk: Desk, texts: list[str]) -> None:
    """An engine that is gone, and the tail of its log."""
    desk.client.die(texts[0], *texts)


async def toast(desk: Desk, texts: list[str]) -> None:
    """A failure that is told in passing."""
    desk.screen.show_notice(Noticed(texts[0], True))
    await desk.until(lambda: desk.app._notifications)
    await desk.pilot.pause()


async def loading(desk: Desk, texts: list[str]) -> None:
    """A model of any name on its way."""
    desk.explorer.models.load = LoadModel(model=texts[-1])
    desk.explorer.jobs.ask([desk.explorer.models.load])
    await desk.until(lambda: isinstance(desk.client.request, LoadModel))
    desk.client.send(desk.client.job, ModelEstimated(estimate=samples.ESTIMATE))
    await desk.drawn()
    check_screen(desk.app)
    desk.client.send(desk.client.job, Progress(stage=texts[0], done=312_000_000, total=548_105_171))
    await desk.drawn()


async def pasted(desk: Desk, texts: list[str]) -> None:
    """The texts on the clipboard, into an editor at the end of what is there."""
    await desk.press("1", "i", "ctrl+end")
    for text in texts:
        desk.screen.context.post_message(events.Paste(text))
    await desk.press("x", "left", "backspace", "enter", "ctrl+z")


async def note(desk: Desk, texts: list[str]) -> None:
    """A line about a run, where this prompt has one."""
    await desk.press("ctrl+r")
    await settle(desk, texts)
    if desk.explorer.history.at is not None:
        await dialog("A", then=("enter",))(desk, texts)


async def exam(desk: Desk, texts: list[str]) -> None:
    """The context compiled and examined."""
    desk.explorer.change_queries(QueryLists((), tuple(texts)))
    await settle(desk, texts)
    await desk.press("W")
    await settle(desk, texts)
    await desk.press("X")
    await settle(desk, texts)
    await desk.press("tab", "G")


async def queries(desk: Desk, texts: list[str]) -> None:
    """The texts among the queries, kept and opened again."""
    await dialog("Q")(desk, texts)
    for editor in desk.app.screen.query(TextArea):
        editor.post_message(events.Paste("\n".join(texts)))
    await desk.press("ctrl+s")
    await desk.until(lambda: desk.app.screen is desk.screen)
    await dialog("Q")(desk, texts)


PANES: dict[str, Show] = {
    "text": keys("0", "l"),
    "stream": keys("g"),
    "plots": keys("5"),
    "heatmap": keys("6", "g", "l"),
    "verify": keys("7"),
    "log": keys("8"),
    "exam": exam,
    "choice": keys("W"),
    "lanes": keys("9"),
    "layers": keys("3", "k", "k"),
    "query": keys("2", "ctrl+end"),
    "zoom": keys("z"),
    "pasted": pasted,
}
DIALOGS: dict[str, Show] = {
    "help": dialog("question_mark"),
    "open": dialog("ctrl+l", then=("enter",)),
    "save": dialog("1", "i", "x", "ctrl+s", then=("enter",)),
    "unsaved": dialog("1", "i", "x", "ctrl+q"),
    "export": dialog("e", "p"),
    "settings": dialog("o"),
    "queries": queries,
    "range": dialog("r", then=("enter",)),
    "note": note,
    "runs": dialog("H"),
    "palette": dialog("ctrl+p"),
}
NEWS: dict[str, Show] = {"loading": loading, "toast": toast, "banner": banner}
PLACES = {"panes": PANES, "dialogs": DIALOGS, "news": NEWS}
"""Every place that shows a text. A new widget is one line here."""


def answer(request: Request, texts: list[str]) -> tuple[Event, ...]:
    """What a model says whose every text is one of ``texts``."""
    odd = replace(samples.LOADED, model=samples.ODD_MODEL)
    events: dict[type, tuple[Event, ...]] = {
        LoadModel: (odd,),
        Measure: samples.MEASURE,
        Generate: (*samples.generate(LANES), PatchTested(patch=samples.PATCH)),
        Compile: (CompileEnded(compilation=samples.COMPILATION),),
        Examine: (ExamEnded(exam=samples.exam()),),
        Verify: (VerificationEnded(verification=samples.VERIFICATION),),
    }
    return tuple(poisoned(event, texts) for event in events.get(type(request), ()))


def filed(texts: list[str]) -> None:
    """Sessions in files of these names, as far as a file system has them."""
    folder = sessions_folder()
    for text in texts:
        name = text.encode("utf-8", "surrogatepass").translate(None, b"/\0")[:200] + b".json"
        write_session(folder / os.fsdecode(name), samples.session())


async def set_out(desk: Desk, texts: list[str]) -> None:
    """A session that holds the texts in every field, run by a model that says nothing else."""
    prompt = Prompt(context="".join(texts) * 3, query=texts[-1] + "?")
    session = Session(title=texts[0], created="", prompt=prompt, n_tokens=8)
    desk.explorer.jobs.ask([desk.explorer.models.load])
    desk.explorer.open(session, None)
    desk.explorer.verify()
    await come_back(desk, texts)


async def settle(desk: Desk, texts: list[str]) -> None:
    """Answer until nothing is asked."""
    for _ in range(40):
        await desk.pilot.pause()
        if desk.explorer.jobs.request is None:
            return
        desk.client.finish(*answer(desk.explorer.jobs.request, texts))
    raise AssertionError("something is asked again and again")


async def come_back(desk: Desk, texts: list[str]) -> None:
    """To the explorer's screen, no toasts on it, with an engine."""
    for _ in range(8):
        if desk.app.screen is desk.screen:
            break
        await desk.press("escape")
        await desk.pilot.pause()
    assert desk.app.screen is desk.screen
    desk.app.clear_notifications()
    desk.screen.view.action_show_pane("stream")
    desk.explorer.models.load = LoadModel()
    if desk.explorer.jobs.engine == "dead":
        await desk.press("ctrl+r")
        await desk.until(lambda: desk.explorer.jobs.engine == "ready")
    await settle(desk, texts)
    desk.explorer.is_unsaved = False


class Stage:
    """One explorer for many texts, opened anew after a text that ended it."""

    def __init__(self) -> None:
        self._runner, self._stack = asyncio.Runner(), AsyncExitStack()
        self._desk: Desk | None = None

    def play(self, scene: Callable[[Desk], Coroutine[None, None, int]]) -> int:
        """Let ``scene`` have the explorer."""
        return self._runner.run(self._play(scene))

    async def _play(self, scene: Callable[[Desk], Coroutine[None, None, int]]) -> int:
        if self._desk is None:
            self._desk = await self._stack.enter_async_context(open_desk(samples.session()))
            await self._desk.until(lambda desk=self._desk: desk.client.requests)
        try:
            return await scene(self._desk)
        except BaseException:
            self._desk = None
            await self._stack.aclose()  # raises what ended the explorer, if anything did
            raise

    def close(self) -> None:
        """End the explorer."""
        self._runner.run(self._stack.aclose())
        self._runner.close()


@pytest.fixture
def stage() -> Iterator[Stage]:
    one = Stage()
    yield one
    one.close()


async def look(desk: Desk, places: dict[str, Show], texts: list[str], size: tuple[int, int]) -> int:
    """Fill the explorer with ``texts``, go from place to place, and look at every line of each."""
    if desk.app.size != size:
        await desk.pilot.resize_terminal(*size)
    await set_out(desk, texts)
    n_lines = 0
    for name, show in places.items():
        try:
            await show(desk, texts)
            await desk.drawn()
            n_lines += check_screen(desk.app)
            await come_back(desk, texts)
        except BaseException as error:
            error.add_note(f"in {name} at {size} with {texts}")
            raise
    return n_lines


PHASES = (Phase.explicit, Phase.generate)
"""An example costs a second and is small: nothing is made smaller."""
SIZES = st.sampled_from([(120, 40), (80, 24), (61, 19)])


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("kind", PLACES)
def test_any_text_in_any_place(
    kind: str, stage: Stage, pytestconfig: pytest.Config, count: Callable[[str], None]
) -> None:
    n_texts, seen = pytestconfig.getoption("texts"), Counter[str]()

    @settings(max_examples=n_texts, deadline=None, derandomize=n_texts < 10, database=None, phases=PHASES)
    @given(st.lists(TEXTS, min_size=2, max_size=5), SIZES)
    @example(list(TOKENS), (120, 40))
    def holds(texts: list[str], size: tuple[int, int]) -> None:
        seen["lines"] += stage.play(lambda desk: look(desk, PLACES[kind], texts, size))
        seen["screens"] += len(PLACES[kind])

    filed([*TOKENS, "漢" * 60])
    holds()
    count(f"{kind}: {seen['screens']} screens of hostile text, {seen['lines']} lines")
