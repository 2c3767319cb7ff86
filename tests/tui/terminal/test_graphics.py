"""The figure in pixels: the terminal is asked, the bytes are what its protocol says, and few enough."""

import base64
import io
import re
from pathlib import Path

import pytest
from PIL import Image

import icltui
from icltui.storage.config import Config
from icltui.tui.app import IcltuiApp
from icltui.tui.dialogs.figure_view import FigureView
from icltui.tui.main import figure_actions
from icltui.tui.terminal.graphics import QUERY, QUERY_ID, Graphics, GraphicsQuery
from icltui.tui.terminal.input_events import InputEvents
from icltui.tui.terminal.messages import TerminalReply
from icltui.tui.terminal.pictures import FORGET, LIMIT, kitty, picture_of, sixel
from tests.tui import samples
from tests.tui.conftest import open_desk
from tests.tui.terminal.test_driver import COMMAND, Pty

COLOURS = [(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)]


def png_of(width: int, height: int, noise: bool = False) -> bytes:
    """A picture with a gradient, or of noise, which no packing makes small."""
    image = (
        Image.effect_noise((width, height), 90)
        if noise
        else Image.linear_gradient("L").resize((width, height))
    )
    page = io.BytesIO()
    image.convert("RGB").save(page, "png")
    return page.getvalue()


def pixels_of(sequence: str) -> tuple[int, int, list[list[int]]]:
    """A slow reading of sixels: width, height, the palette index of each pixel."""
    body = re.fullmatch(r'\x1bP0;1q"1;1;(\d+);(\d+)(.*)\x1b\\', sequence, re.DOTALL)
    assert body
    width, height = int(body[1]), int(body[2])
    picture = [[-1] * width for _ in range(-(-height // 6) * 6)]
    x = band = colour = 0
    for match in re.finditer(r"#(\d+);2;[\d;]+|#(\d+)|!(\d+)(.)|([?-~])|([$-])", body[3]):
        if match[1]:
            continue
        if match[2]:
            colour = int(match[2])
        elif match[6]:
            x, band = 0, band + (match[6] == "-")
        else:
            n = int(match[3] or 1)
            for row in range(6):
                if (ord(match[4] or match[5]) - 63) >> row & 1:
                    picture[band * 6 + row][x : x + n] = [colour] * n
            x += n
    return width, height, picture[:height]


def test_sixels_say_every_pixel_once() -> None:
    for width, height in ((1, 1), (7, 6), (50, 13)):
        indices = bytes(
            (x * 3 + y * 5 + x * y) % 4 if x % 9 else 2 for y in range(height) for x in range(width)
        )
        sequence = sixel(indices, width, COLOURS)
        assert pixels_of(sequence) == (
            width,
            height,
            [list(indices[at : at + width]) for at in range(0, len(indices), width)],
        )
    assert "#1;2;100;0;0" in sixel(b"\1" * 8, 8, COLOURS)
    assert "!8" in sixel(b"\1" * 8, 8, COLOURS), "runs are counted"


def test_kittys_chunks_hold_the_png_whole() -> None:
    png = png_of(200, 100, noise=True)
    chunks = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", kitty(png, 20, 5))
    assert base64.b64decode("".join(data for _, data in chunks)) == png
    assert all(len(data) <= 4096 for _, data in chunks)
    assert [keys[-3:] for keys, _ in chunks] == [*["m=1"] * (len(chunks) - 1), "m=0"][-len(chunks) :] or len(
        chunks
    ) == 1
    assert {"a=T", "f=100", "c=20", "r=5", "q=2"} <= set(chunks[0][0].split(","))


@pytest.mark.parametrize("pictures", ["kitty", "sixel"])
def test_a_picture_fits_its_room_and_its_bytes_are_bounded(pictures: str) -> None:
    graphics = Graphics(pictures, (8, 16))  # type: ignore[arg-type]
    for noise in (False, True):
        picture = picture_of(png_of(900, 700, noise), graphics, (80, 23))
        assert len(picture.sequence) <= LIMIT
        assert picture.columns <= 80
        assert picture.rows <= 23
        assert noise or picture.rows == 23, "as large as the room"


@pytest.mark.parametrize(
    ("replies", "found"),
    [
        (rb"\e_Gi=%d;OK\e\ \e[6;18;9t\e[?62;22c", Graphics("kitty", (9, 18))),
        (rb"\e[?62;4;22c", Graphics("sixel")),
        (rb"\e_Gi=%d;ENOTSUP\e\ \e[?1;2c", Graphics()),
        (rb"\e_Gi=%d;OK\e\ \e[?4c", Graphics("kitty")),
    ],
)
async def test_what_the_terminal_answers_is_what_it_has(replies: bytes, found: Graphics) -> None:
    data = replies.replace(rb"\e", b"\x1b").replace(b"\\ ", b"\\").replace(b"%d", str(QUERY_ID).encode())
    query, source = GraphicsQuery(), InputEvents()
    messages = [message for at in range(len(data)) for message in source.feed(data[at : at + 1], at / 1000)]
    assert all(isinstance(message, TerminalReply) for message in messages), "nothing of it is typed"
    for message in messages:
        query.take(message.text)  # type: ignore[attr-defined]
    assert await query.answer(1.0) == found


async def test_a_terminal_that_says_nothing_has_no_pictures() -> None:
    assert await GraphicsQuery().answer(0.01) == Graphics()


async def test_the_figure_covers_the_screen_and_any_key_leads_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drawn(*_: object) -> bytes:
        return png_of(300, 200)

    async def asked(_: IcltuiApp) -> Graphics:
        return Graphics("kitty")

    sent: list[str] = []
    monkeypatch.setattr("icltui.system.figure_process.draw_figure", drawn)
    monkeypatch.setattr(IcltuiApp, "graphics", asked)
    monkeypatch.setattr(IcltuiApp, "write_picture", lambda _, sequence: sent.append(sequence))
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        await desk.press("F")
        await desk.until(lambda: isinstance(desk.app.screen, FigureView) and sent)
        assert sent[0].startswith("\x1b7\x1b[1;")
        assert "\x1b_Ga=T" in sent[0]
        await desk.press("x")
        await desk.until(lambda: desk.app.screen is desk.screen and len(sent) == 2)
        assert sent[1].startswith(FORGET)
        await desk.until(lambda: "1 Context" in desk.text())


async def test_without_pictures_the_figure_is_written_and_the_line_says_where(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def drawn(*_: object) -> bytes:
        return b"PNG"

    monkeypatch.setattr("icltui.system.figure_process.draw_figure", drawn)
    monkeypatch.setattr(figure_actions, "sessions_folder", lambda: tmp_path / "there")
    async with open_desk(samples.session(), config=Config(graphics="off")) as desk:
        await desk.settle()
        await desk.press("F")
        await desk.until(lambda: any("shows no pictures" in toast for toast in desk.toasts()))
        written = next((tmp_path / "there").glob("*.png"))
        assert str(written) in desk.toasts()[-1]
        assert written.read_bytes() == b"PNG"


async def test_no_figure_beside_a_run() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        await desk.press("ctrl+r", "F")
        await desk.until(lambda: any("F shows the figure after it" in toast for toast in desk.toasts()))


@pytest.mark.soak
def test_on_a_terminal_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(icltui.__file__).parents[1]))
    pty = Pty(COMMAND, tmp_path)
    try:
        pty.view.shows("1 Context", "^q Quit")
        pty.press(b"F")
        pty.wait(lambda: QUERY.encode() in pty.view.sent, "the question")
        pty.press(f"\x1b_Gi={QUERY_ID};OK\x1b\\\x1b[6;20;10t\x1b[?62;22c".encode())
        pty.wait(lambda: b"\x1b_Ga=T,f=100" in pty.view.sent, "the picture")
        n = len(pty.view.sent)
        pty.press(b"x")
        pty.wait(lambda: FORGET.encode() in pty.view.sent[n:], "the picture is taken away")
        pty.wait(lambda: b"1 Context" in pty.view.sent[n:], "every cell is sent again")
    finally:
        pty.close()


def test_the_question_ends_with_what_every_terminal_answers() -> None:
    assert QUERY.endswith("\x1b[c")
