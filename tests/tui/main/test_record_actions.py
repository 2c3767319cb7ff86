"""The screen is recorded from one call to the next, and written where sessions are."""

from pathlib import Path
from xml.etree import ElementTree

from icltui.storage.paths import sessions_folder
from tests.tui.conftest import Desk


def written() -> list[Path]:
    return list(sessions_folder().glob("*-recording.svg"))


async def test_what_happens_meanwhile_is_in_the_file(desk: Desk) -> None:
    await desk.settle()
    desk.screen.run_worker(desk.screen.run_action("record_screen"))
    recorder = desk.screen.recorder
    await desk.until(lambda: recorder.n_frames == 1)
    await desk.press("7")
    await desk.until(lambda: recorder.n_frames > 1)
    await desk.screen.run_action("record_screen")
    await desk.until(lambda: len(written()) == 1)
    (path,) = written()
    text = path.read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    assert "@keyframes" in text
    assert "Capital" in text or "capital" in text
    await desk.until(lambda: any("frames" in toast and str(path) in toast for toast in desk.toasts()))


async def test_a_folder_that_cannot_be_written_is_said(desk: Desk, monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("icltui.tui.main.record_actions.sessions_folder", lambda: tmp_path / "file")
    await desk.settle()
    await desk.screen.run_action("record_screen")
    await desk.until(lambda: desk.screen.recorder.n_frames == 1)
    await desk.screen.run_action("record_screen")
    await desk.until(lambda: any("file" in toast for toast in desk.toasts()))
