"""The launcher: what was used last is one key away, then the examples; found by any word; no file stops it."""

import json
import os
from datetime import datetime
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.widgets import Input, Static

from icltui.api.messages import LoadModel
from icltui.storage.paths import EXAMPLES, example_sessions, sessions_folder
from icltui.storage.recent_sessions import remember_session
from icltui.storage.sessions import read_session, write_session
from icltui.tui.app import IcltuiApp
from icltui.tui.dialogs.open_session import OpenSessionDialog
from icltui.tui.state.session_list import known_sessions, moment_words
from icltui.tui.widgets.choice_list import ChoiceList
from icltui.values import Run, Session
from tests.tui import samples
from tests.tui.conftest import Desk
from tests.tui.fake_client import FakeClient

EXAMPLE = example_sessions()[0]
OTHER_MODEL = replace(samples.MODEL, name="some/other-model")


def saved(name: str, day: int, **changes: object) -> Path:
    """One of the user's own, written on that day of 2026."""
    path = sessions_folder() / f"{name}.json"
    write_session(path, replace(samples.session(), title=name, **changes))
    os.utime(path, (datetime(2026, 1, day).timestamp(),) * 2)
    return path


def start(session: Session | None = None, path: Path | None = EXAMPLE, has_tour: bool = False) -> IcltuiApp:
    return IcltuiApp(
        FakeClient(),
        LoadModel(),
        session or read_session(EXAMPLE),
        path,
        has_launcher=True,
        has_tour=has_tour,
    )


async def opened(desk: Desk) -> OpenSessionDialog:
    await desk.until(lambda: isinstance(desk.app.screen, OpenSessionDialog))
    dialog = desk.app.screen
    assert isinstance(dialog, OpenSessionDialog)
    await desk.until(lambda: dialog.query(ChoiceList) and dialog.entry and dialog.entry.facts)
    await desk.drawn()
    return dialog


def client_of(app: IcltuiApp) -> FakeClient:
    assert isinstance(app._client, FakeClient)
    return app._client


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
async def test_a_newcomer_is_one_key_from_the_example(size: tuple[int, int]) -> None:
    app = start()
    async with app.run_test(size=size) as pilot:
        desk = Desk(client_of(app), app, pilot)
        dialog = await opened(desk)
        assert "enter opens the first example" in desk.text()
        for name, lesson in EXAMPLES.items():
            assert name[:12] in desk.text()
            assert lesson[:12] in desk.text()
        assert "The capital of France is Rome." in desk.text()
        assert dialog.entry
        assert dialog.entry.path == EXAMPLE
        await desk.until(lambda: client_of(app).requests)  # the engine loads meanwhile
        await pilot.press("enter")
        await desk.until(lambda: app.screen is desk.screen)
        assert app.explorer.document.path == EXAMPLE


async def test_escape_stays_on_what_shows_already_and_the_tour_begins() -> None:
    app = start(has_tour=True)
    async with app.run_test(size=(100, 30)) as pilot:
        desk = Desk(client_of(app), app, pilot)
        await opened(desk)
        assert not desk.screen.guide.tour_card.display
        await pilot.press("escape")
        await desk.until(lambda: desk.screen.guide.tour_card.display)
        assert app.explorer.document.path == EXAMPLE


async def test_a_daily_user_goes_on_with_one_key_on_the_model_of_before() -> None:
    saved("older", 2)
    path = saved("newest", 3, model=OTHER_MODEL)
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        desk = Desk(client_of(app), app, pilot)
        dialog = await opened(desk)
        assert "enter continues where you stopped" in desk.text()
        assert dialog.entry
        assert dialog.entry.path == path
        await pilot.press("enter")
        await desk.until(lambda: app.explorer.document.path == path)
        await desk.until(
            lambda: (
                any(isinstance(r, LoadModel) and r.model == OTHER_MODEL.name for r in client_of(app).requests)
                or app.explorer.models.load.model == OTHER_MODEL.name
                or any(
                    isinstance(r, LoadModel) and r.model == OTHER_MODEL.name for r in app.explorer.jobs.plan
                )
            )
        )


async def test_whoever_works_already_is_not_asked() -> None:
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        desk = Desk(client_of(app), app, pilot)
        dialog = await opened(desk)
        dialog.dismiss(None)
        await desk.until(lambda: app.screen is desk.screen)
        app.explorer.is_unsaved = True
        await app._welcome()
        assert app.screen is desk.screen


async def test_words_are_found_in_name_model_note_and_text(desk: Desk) -> None:
    saved("alpha", 2, model=OTHER_MODEL)
    noted = samples.session()
    saved("beta", 3, runs=(Run(number=1, note="the long one", session=noted),), run=1)
    await desk.press("ctrl+l")
    dialog = await opened(desk)
    await desk.until(lambda: all(entry.facts for entry in dialog._all))

    async def found(words: str) -> list[str]:
        dialog.query_one(Input).value = words
        await desk.drawn()
        return [entry.name for entry in dialog._shown]

    assert await found("ALPHA") == ["alpha"]
    assert await found("other-model") == ["alpha"]
    assert await found("long one") == ["beta"]
    assert "contradicted-capital" in await found("rome")
    assert await found("kitchen cellar") == ["entity-story"]
    assert await found("no such word") == []
    assert len(await found("")) == 2 + len(EXAMPLES)


async def test_files_that_are_no_sessions_are_plain_lines(desk: Desk) -> None:
    folder = saved("whole", 1).parent
    for name, data in (("torn", b'{"format"'), ("hostile", b"\x1b[2J\xff"), ("empty", b"")):
        (folder / f"{name}.json").write_bytes(data)
    (folder / "\x1b[31mred.json").write_text(json.dumps({"format": 6, "prompt": {"context": "\x1b[2J[/x]"}}))
    await desk.press("ctrl+l")
    dialog = await opened(desk)
    await desk.until(lambda: all(entry.facts for entry in dialog._all))
    await desk.drawn()
    assert desk.text().count("is damaged") >= 3
    assert "\x1b" not in desk.text()
    for _ in range(5):
        await desk.press("down")
        await desk.drawn()
    dialog.query_one(Input).value = "torn"
    await desk.press("enter")
    await desk.until(lambda: "cut off" in str(dialog.query_one(".error", Static).content))
    assert desk.app.screen is dialog


async def test_enter_that_is_typed_ahead_opens_the_first(desk: Desk) -> None:
    path = saved("mine", 2)
    await desk.press("ctrl+l", "enter")
    await desk.until(lambda: desk.explorer.document.path == path)


def test_what_was_opened_last_comes_first_wherever_it_lies(tmp_path: Path) -> None:
    inside = saved("inside", 3)
    write_session(outside := tmp_path / "elsewhere.json", samples.session())
    assert next(entry.path for entry in known_sessions()) == inside
    remember_session(tmp_path / "gone.json")
    remember_session(outside)
    found = [entry.path for entry in known_sessions()]
    assert found[:2] == [outside, inside]
    assert len(found) == 2 + len(EXAMPLES)


async def test_an_opened_file_is_remembered(desk: Desk, tmp_path: Path) -> None:
    write_session(path := tmp_path / "far.json", samples.session())
    desk.explorer.open(read_session(path), path)
    await desk.until(lambda: next(entry.path for entry in known_sessions()) == path)


def test_moments_in_words() -> None:
    now = datetime(2026, 3, 5, 9)
    words = [
        moment_words(datetime(*day, 18, 2).timestamp(), now)
        for day in ((2026, 3, 5), (2026, 3, 2), (2025, 3, 5))
    ]
    assert {moment_words(odd, now) for odd in (float("nan"), 1e300, -1e300)} == {"unknown"}
    assert words == ["today 18:02", "Monday 18:02", "5 Mar 2025"]
