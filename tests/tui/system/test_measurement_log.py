"""Each measurement that is whole goes to a database; nothing waits for it, and nothing is lost without it."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from icltui.api.messages import Measure
from icltui.storage.database import log_queue
from icltui.storage.database.destination import spool_of
from icltui.values.errors import BadInput
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk
from tests.tui.screen_checks import check_screen

pytest.importorskip("sqlalchemy")
N_ROWS = len([row for event in samples.MEASURE for row in getattr(event, "rows", ())])


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(log_queue, "SHORTEST_PAUSE", 0.01)
    monkeypatch.setattr(log_queue, "LONGEST_PAUSE", 0.04)
    return f"sqlite:///{tmp_path}/lab/log.sqlite"


def asked(url: str, query: str = "SELECT count(*) FROM icl_dynamics_log") -> list[tuple[object, ...]]:
    """What is in the database."""
    file = sqlite3.connect(url.removeprefix("sqlite:///"))
    try:
        return file.execute(query).fetchall()
    finally:
        file.close()


async def shows_log(desk: Desk, *lines: str) -> None:
    """Turn to the log and wait for lines in it."""
    await desk.press("8")
    await desk.until(lambda: all(line in "".join(desk.screen.numbers.log_view.rows) for line in lines))
    check_screen(desk.app)


def said(desk: Desk) -> Callable[[str], int]:
    """How often a line of the log has been told."""
    return lambda words: sum(words in line for line in desk.explorer.engine_status.lines)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_a_measurement_goes_to_the_database_and_the_log_says_so(
    url: str, size: tuple[int, int]
) -> None:
    async with open_desk(samples.session(is_measured=False), size=size, log=url) as desk:
        await desk.settle()
        await desk.until(lambda: said(desk)(f"log: {N_ROWS} rows to {url}"))
        await shows_log(desk, f"log: {N_ROWS} rows to ")
        await desk.press("ctrl+r")
        await desk.settle()
        await desk.until(lambda: said(desk)(f"log: {url} has these rows"))
        assert desk.toasts() == []
    assert desk.app.measurement_log is not None
    assert desk.app.measurement_log.close(print) == ""
    assert asked(url) == [(N_ROWS,)]
    about = "SELECT source, title, model, recipe ->> 'mode' FROM icl_dynamics_session"
    assert asked(url, about) == [("explorer", "capital-conflict", samples.MODEL.name, "per-step")]


async def test_saved_numbers_are_not_measured_here(url: str) -> None:
    async with open_desk(samples.session(), log=url) as desk:
        await desk.until(lambda: said(desk)("is open"))
        await desk.drawn()
    assert asked(url) == [(0,)]


async def test_a_part_of_a_measurement_is_not_logged(url: str) -> None:
    async with open_desk(samples.session(is_measured=False), log=url) as desk:
        await desk.until(lambda: desk.client.job == 1)
        desk.client.finish(samples.LOADED)
        desk.client.send(2, samples.TOKENIZED, samples.chunk(0, 8))
        await desk.press("escape")
        desk.client.give_way(2)
        await desk.until(lambda: not isinstance(desk.explorer.jobs.request, Measure))
        await desk.until(lambda: said(desk)("is open"))
    assert desk.app.measurement_log is not None
    assert desk.app.measurement_log.close(print) == ""
    assert asked(url) == [(0,)]


async def test_a_database_that_is_away_is_told_once_and_gets_all_when_it_is_back(
    url: str, tmp_path: Path
) -> None:
    (tmp_path / "lab").write_text("no folder")
    async with open_desk(samples.session(is_measured=False), log=url) as desk:
        await desk.settle()
        await desk.until(lambda: desk.toasts())
        (told,) = desk.toasts()
        assert told.startswith(f"log: cannot write {tmp_path}/lab/log.sqlite: ")
        assert told.endswith(f"measurements wait in {spool_of(url).path}")
        await desk.until(lambda: len(spool_of(url)) == 1)
        (tmp_path / "lab").unlink()
        await desk.until(lambda: said(desk)(f"log: {N_ROWS} rows to {url}"))
        await desk.drawn()
        assert desk.toasts() == [told, f"log: {url} answers again"]
    assert asked(url) == [(N_ROWS,)]


async def test_quitting_asks_nothing_and_loses_nothing(url: str, tmp_path: Path) -> None:
    (tmp_path / "lab").write_text("no folder")
    async with open_desk(samples.session(is_measured=False), log=url) as desk:
        await desk.settle()
        desk.explorer.is_unsaved = False  # which would be asked about
        await desk.screen.run_action("app.quit")
        await desk.pilot.pause()
        assert desk.app._exit
    assert desk.app.measurement_log is not None
    assert desk.app.measurement_log.close(print) == (
        f"log: 1 measurement is kept in {spool_of(url).path}, which the next start with this --log sends"
    )
    (tmp_path / "lab").unlink()
    async with open_desk(samples.session(), log=url) as desk:
        await desk.until(lambda: said(desk)(f"log: {N_ROWS} rows to {url}"))
    assert asked(url) == [(N_ROWS,)]


def test_a_url_that_is_none_is_refused_before_the_screen_opens() -> None:
    for url in ("my log", "sqlite:", ""):
        with pytest.raises(BadInput, match="the database's URL cannot be read"):
            spool_of(url)
