"""The export dialog: every kind of file, every way it can be refused, and nothing that stops the screen."""

import asyncio
import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import msgspec
import pytest
from textual.widgets import Input, OptionList, Static

from icltui.api.messages import Export, ExportEnded, JobFailed, LoadModel, Progress
from icltui.system.figure_process import draw_figure
from icltui.tui.app import IcltuiApp
from icltui.tui.dialogs.confirm import ConfirmDialog
from icltui.tui.dialogs.export import ExportDialog
from icltui.tui.draw.svg import pane_strips, screen_strips, svg_of
from icltui.values import ExportReport
from icltui.values.errors import BadInput
from icltui.values.recipe import Recipe
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk
from tests.tui.fake_client import FakeClient

REPORT = ExportReport(format="peft", files=("p/x.safetensors",), rank=1, n_tensors=36, left_out=("ΔW",))
MARKDOWN, _HTML, CSV, PNG, _SVG, PANE, SCREEN, PEFT, LORA, GGUF, FACTORS = range(11)


async def open_dialog(desk: Desk, kind: int = MARKDOWN, path: str | None = None) -> ExportDialog:
    await desk.press("e")
    await desk.until(lambda: isinstance(desk.app.screen, ExportDialog))
    dialog = desk.app.screen
    assert isinstance(dialog, ExportDialog)
    await desk.press(*["down"] * kind)
    if path is not None:
        dialog.query_one(Input).value = path
    return dialog


async def closed(desk: Desk) -> None:
    await desk.until(lambda: desk.app.screen is desk.screen)
    await desk.pilot.pause()


def picture_text(path: str) -> str:
    """The words in an SVG; raises if it is none."""
    texts = ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")
    return "".join(text.text or "" for text in texts).replace("\xa0", " ")


def said(dialog: ExportDialog) -> str:
    return str(dialog.query_one(".error", Static).content)


async def test_a_report_into_the_folder_of_sessions_and_a_name_that_is_taken(desk: Desk) -> None:
    Path("sessions").mkdir()
    await open_dialog(desk)
    await desk.press("enter")
    await closed(desk)
    target = Path("sessions/capital-conflict.md")
    assert target.read_text().startswith("# capital-conflict\n")
    await desk.until(lambda: desk.toasts()[-1:] == [f"Markdown report written to {target}"])
    dialog = await open_dialog(desk)
    assert dialog.query_one(Input).value == "sessions/capital-conflict-2.md", "what is taken is not proposed"


async def test_a_table_to_a_path_as_typed(desk: Desk) -> None:
    dialog = await open_dialog(desk)
    field = dialog.query_one(Input)
    assert field.value.endswith("capital-conflict.md")
    await desk.press("down", "down")
    assert field.value.endswith("capital-conflict.csv")
    assert dialog.query_one(".dialog").border_title == "Export: CSV table"
    field.value = "mine.csv"
    await desk.press("down")
    assert field.value == "mine.png", "a typed name stays, its ending changes"
    await desk.press("up", "tab")
    assert field.has_focus
    field.value = "deep/er/numbers"
    await desk.press("enter")
    await closed(desk)
    assert Path("deep/er/numbers.csv").read_text().startswith("unit,layer,z_norm")


async def test_what_is_there_is_asked_about(desk: Desk) -> None:
    there = Path("there.md")
    there.write_text("x")
    await open_dialog(desk, path="there.md")
    for key, text in (("c", "x"), ("o", "# capital-conflict")):
        await desk.press("enter")
        await desk.until(lambda: isinstance(desk.app.screen, ConfirmDialog))
        await desk.press(key)
        await desk.until(lambda: not isinstance(desk.app.screen, ConfirmDialog))
        if key == "o":
            await closed(desk)
        assert there.read_text().startswith(text)


async def test_a_bad_path_is_told_in_the_dialog(desk: Desk) -> None:
    Path("file").write_text("x")
    dialog = await open_dialog(desk)
    for path, words in (
        ("", "no name: type a path"),
        (".", "that is a folder: add a file name"),
        ("file/x.md", "cannot write file/x.md: a file is in the way: choose another place"),
    ):
        dialog.query_one(Input).value = path
        await desk.press("enter")
        await desk.until(lambda words=words: said(dialog) == words)
    assert desk.app.screen is dialog


async def test_a_full_disk_is_told_and_another_path_can_be_tried(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = await open_dialog(desk, path="x.md")
    with monkeypatch.context() as patch:
        patch.setattr(
            os, "fsync", lambda _handle: (_ for _ in ()).throw(OSError(28, "No space left on device"))
        )
        await desk.press("enter")
        await desk.until(lambda: "no space left" in said(dialog))
    assert not Path("x.md").exists()
    await desk.press("enter")
    await closed(desk)
    assert Path("x.md").exists()


async def test_a_figure_is_drawn_elsewhere_and_can_be_given_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds: list[str] = []
    go_on, ended = asyncio.Event(), asyncio.Event()

    async def draw(_session: object, kind: str) -> bytes:
        kinds.append(kind)
        try:
            await go_on.wait()
        finally:
            ended.set()
        return b"picture"

    monkeypatch.setattr("icltui.tui.main.export_offers.draw_figure", draw)
    dialog = await open_dialog(desk, PNG, "f.png")
    await desk.press("enter")
    await desk.until(lambda: said(dialog) == "making the PNG figure …")
    await desk.press("enter", "escape")  # one at a time
    await closed(desk)
    await desk.until(ended.is_set)
    assert (kinds, Path("f.png").exists()) == (["png"], False)
    go_on.set()
    await open_dialog(desk, PNG, "f.png")
    await desk.press("enter")
    await closed(desk)
    assert Path("f.png").read_bytes() == b"picture"


async def test_the_process_that_draws() -> None:
    data = await draw_figure(samples.session(), "png")
    assert data.startswith(b"\x89PNG")


async def test_what_the_process_that_draws_refuses_is_told() -> None:
    with pytest.raises(BadInput, match="the figure was not drawn: the session holds no measures"):
        await draw_figure(samples.session(is_measured=False), "png")


async def test_numbers_of_an_older_prompt_are_not_passed_off_as_this_one(desk: Desk) -> None:
    await desk.press("1", "i", "x", "escape")
    await open_dialog(desk, path="r.md")
    await desk.press("enter")
    await closed(desk)
    assert "Not in this session: measures, lanes, proof." in Path("r.md").read_text()
    await desk.until(lambda: "without the numbers and lanes on the screen" in "".join(desk.toasts()[-1:]))


async def test_a_picture_of_any_pane(desk: Desk) -> None:
    desk.app.notify("over everything")
    desk.screen.view.action_show_pane("heatmap")
    dialog = await open_dialog(desk, PANE)
    assert dialog.query_one(Input).value.endswith("capital-conflict-heatmap.svg")
    dialog.query_one(Input).value = "pane.svg"
    await desk.press("enter")
    await closed(desk)
    text = picture_text("pane.svg")
    assert text.startswith("capital-conflict: heatmap")
    for words in ("╭", "╰", "6 Heatmap"):
        assert words in text
    assert "over everything" not in text
    assert "esc cancels" not in text


async def test_a_picture_of_the_screen(desk: Desk) -> None:
    await open_dialog(desk, SCREEN, "all.svg")
    await desk.press("enter")
    await closed(desk)
    text = picture_text("all.svg")
    for words in ("icltui", "1 Context", "9 With context", "3 Layers", "Quit"):
        assert words in text
    assert "esc cancels" not in text


async def test_a_picture_of_the_screen_leaves_out_what_is_told_in_passing() -> None:
    app = IcltuiApp(FakeClient(), LoadModel(), samples.session())
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        app.notify("over everything")
        desk = Desk(FakeClient(), app, pilot)
        await desk.until(lambda: "over everything" in desk.text())
        lines = [strip.text for strip in screen_strips(app.screen)]
    assert "icltui" in lines[0]
    assert len(lines) == 40
    assert "over everything" not in "".join(lines)


async def test_every_pane_has_a_picture_the_same_each_time(desk: Desk) -> None:
    panes = (desk.screen.numbers, desk.screen.layer_list, desk.screen.context, *desk.screen.lanes.children)
    for pane, words in zip(
        panes, ("4 Stream", "[x]❯5", "1 Context", "9 With", "Query only", "ΔW is"), strict=True
    ):
        first, second = (svg_of(pane_strips(pane), "t") for _ in range(2))
        assert first == second
        assert words in "\n".join(strip.text for strip in pane_strips(pane))


async def test_hostile_text_on_the_way_out() -> None:
    title = "[/INST] [red]x \x1b[2J \ud800/../$"
    prompt = msgspec.structs.replace(samples.PROMPT, context="\ud800\x1b[2J [/] ```\n")
    session = msgspec.structs.replace(samples.session(), title=title, prompt=prompt)
    async with open_desk(session) as desk:
        await desk.settle()
        for kind in (MARKDOWN, PANE):
            dialog = await open_dialog(desk, kind)
            target = Path(dialog.query_one(Input).value)
            assert "/" not in target.name
            await desk.press("enter")
            await closed(desk)
            assert b"\x1b" not in target.read_bytes()


async def test_the_patch_is_written_by_the_engine(desk: Desk) -> None:
    for kind, form in (
        (PEFT, "peft"),
        (LORA, "gguf-lora"),
        (GGUF, "gguf-control-vector"),
        (FACTORS, "factors"),
    ):
        await open_dialog(desk, kind, "out/patch")
        await desk.press("enter")
        await closed(desk)
        request = desk.client.request
        assert isinstance(request, Export)
        assert (request.format, request.recipe, request.prompt) == (
            form,
            Recipe(mode="frozen"),
            samples.PROMPT,
        )
        assert request.path.startswith("out/patch")
        desk.client.send(desk.client.job, Progress(stage="making the patch", done=0, total=0))
        await desk.drawn()
        assert "● making the patch" in desk.text()
        desk.client.finish(ExportEnded(report=REPORT))
    await desk.drawn()
    assert desk.toasts()[-1] == (
        "a LoRA adapter for PEFT: rank 1, 36 tensors, in out/patch.safetensors; the log (8) says which patch it is"
    )
    assert "left out: ΔW" in desk.explorer.engine_status.lines


async def test_a_patch_that_cannot_be_written_is_told(desk: Desk) -> None:
    Path("there").write_text("x")
    n_jobs = desk.client.job
    dialog = await open_dialog(desk, PEFT, "there")
    await desk.press("enter")
    await desk.until(lambda: said(dialog) == "there exists already: choose another name")
    assert desk.client.job == n_jobs
    dialog.query_one(Input).value = "patch"
    await desk.press("enter")
    await closed(desk)
    desk.client.finish(JobFailed(kind="BadInput", message="patch exists already"))
    await desk.until(lambda: "patch exists already" in desk.toasts())
    await desk.press("ctrl+r")
    n_jobs = desk.client.job
    await open_dialog(desk, PEFT, "patch")
    await desk.press("enter")
    await closed(desk)
    await desk.until(lambda: "the engine is busy" in desk.toasts()[-1])
    assert desk.client.job == n_jobs


@pytest.mark.parametrize("size", [(80, 24), (60, 18)])
async def test_everything_is_in_sight_on_a_small_screen(size: tuple[int, int]) -> None:
    async with open_desk(samples.session(), size=size) as desk:
        await desk.settle()
        dialog = await open_dialog(desk)
        for widget in (dialog.query_one(OptionList), dialog.query_one(Input)):
            assert widget.region.height
            assert desk.app.size.region.contains_region(widget.region)
            assert widget.region.bottom < dialog.query_one(".dialog").region.bottom
