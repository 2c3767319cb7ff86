"""What is sent to the terminal: the picture is the same as if everything were sent, and little is."""

import random

import pyte
import pytest
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from icltui.tui.terminal.frame_diff import FrameDiff

WIDTH, HEIGHT = 24, 6
CONSOLE = Console(force_terminal=True, color_system="truecolor", width=WIDTH, height=HEIGHT)
STYLES = tuple(
    Style.parse(style) for style in ("none", "bold", "red on blue", "color(17) on color(228)", "underline")
)
NARROW = ("a", "b", " ", "·", "█", "é", "e\u0301")
WIDE = (*NARROW, "世", "🙂")


class Glass:
    """A terminal that one sees through: pyte's picture of what was sent."""

    def __init__(self) -> None:
        self.screen = pyte.Screen(WIDTH, HEIGHT)
        self.stream = pyte.Stream(self.screen)
        self.n_sent = 0
        self.stream.feed("\x1b[?7l")  # no line wrap, as Textual asks for

    def send(self, update) -> None:
        if update is not None:
            text = update.render_segments(CONSOLE).replace("\n", "")
            self.n_sent += len(text.encode())
            self.stream.feed(text)

    def cells(self):
        return [[self.screen.buffer[y][x] for x in range(WIDTH)] for y in range(HEIGHT)]


def strip(chance: random.Random, width: int, texts=NARROW) -> Strip:
    segments = [Segment(chance.choice(texts), chance.choice(STYLES)) for _ in range(width)]
    return Strip(segments).adjust_cell_length(width, STYLES[1])


def whole(strips: list[Strip]) -> LayoutUpdate:
    return LayoutUpdate([[each] for each in strips], Region(0, 0, WIDTH, HEIGHT))


def part(y: int, x: int, strips: list[Strip], span: tuple[int, int]) -> ChopsUpdate:
    """Strips side by side from ``x`` on, of which only ``span`` is to be painted."""
    chops, ends, at = {}, [], x
    for each in strips:
        chops[at] = each
        at += each.cell_length
        ends.append(at)
    lines = [chops if line == y else {} for line in range(HEIGHT)]
    return ChopsUpdate(lines, [(y, *span)], [ends if line == y else [] for line in range(HEIGHT)])


@pytest.mark.parametrize("texts", [NARROW, WIDE])
@pytest.mark.parametrize("seed", range(10))
def test_the_picture_is_that_of_sending_everything(seed, texts):
    chance, frame, thrifty, lavish = random.Random(seed), FrameDiff(), Glass(), Glass()
    rows = [strip(chance, WIDTH, texts) for _ in range(HEIGHT)]
    for update in (whole(rows), whole(rows)):
        thrifty.send(frame.reduce(update, CONSOLE))
        lavish.send(update)
    for _ in range(30):
        y, x = chance.randrange(HEIGHT), chance.randrange(0, WIDTH - 8)
        rows[y] = Strip.join([rows[y].crop(0, x), strip(chance, 8, texts), rows[y].crop(x + 8, WIDTH)])
        if (
            texts is WIDE or chance.random() < 0.3
        ):  # a piece that cuts a wide character would tell a part of it
            update = whole(rows)
        else:
            pieces = [rows[y].crop(x, x + 5), rows[y].crop(x + 5, x + 8)]
            update = part(y, x, pieces, (x, x + 8))
        thrifty.send(frame.reduce(update, CONSOLE))
        lavish.send(whole(rows))
    assert thrifty.cells() == lavish.cells()
    assert thrifty.n_sent < lavish.n_sent / 2


def test_text_of_doubtful_width_moves_nothing_after_it():
    """Some terminals give a vowel sign a cell of its own; Rich does not."""
    frame, chance = FrameDiff(), random.Random(0)
    rows = [strip(chance, WIDTH) for _ in range(HEIGHT)]
    frame.reduce(whole(rows), CONSOLE)
    rows[2] = Strip([Segment("क्षि ab क्षि c", STYLES[0])]).adjust_cell_length(WIDTH, STYLES[0])
    update = frame.reduce(whole(rows), CONSOLE)
    assert update is not None
    places = update.render_segments(CONSOLE).split("\x1b[3;")
    assert [place.split("H", 1)[1] for place in places[1:]][:4] == ["क्", "षि", " ab क्", "षि"]


def test_what_stands_there_is_not_sent_again():
    frame, chance = FrameDiff(), random.Random(0)
    rows = [strip(chance, WIDTH) for _ in range(HEIGHT)]
    assert frame.reduce(whole(rows), CONSOLE) is not None
    assert frame.reduce(whole(rows), CONSOLE) is None
    assert frame.reduce(part(2, 0, [rows[2]], (0, WIDTH)), CONSOLE) is None


def test_a_wide_character_is_sent_with_the_mark_that_it_carries():
    frame = FrameDiff()
    frame.reduce(whole([Strip([Segment("か\u3099".ljust(WIDTH), STYLES[0])])] * HEIGHT), CONSOLE)
    changed = Strip([Segment("さ\u3099".ljust(WIDTH), STYLES[0])])
    sent = frame.reduce(part(3, 0, [changed], (0, WIDTH)), CONSOLE)
    assert "さ\u3099" in sent.render_segments(CONSOLE)


@pytest.mark.parametrize("carrier", ["e", "世"])
def test_of_marks_without_end_a_cell_is_sent_few(carrier: str):
    frame = FrameDiff()
    frame.reduce(whole([Strip([Segment("x" * WIDTH, STYLES[0])])] * HEIGHT), CONSOLE)
    piled = Strip([Segment(carrier + "\u0301" * 200_000 + "x" * (WIDTH - 2), STYLES[0])])
    sent = frame.reduce(part(3, 0, [piled], (0, WIDTH)), CONSOLE).render_segments(CONSOLE)
    assert carrier + "\u0301" * 10 in sent
    assert len(sent) < 200


def test_one_changed_cell_is_one_step_and_one_character():
    frame = FrameDiff()
    row = Strip([Segment("x" * WIDTH, STYLES[1])])
    frame.reduce(whole([row] * HEIGHT), CONSOLE)
    changed = Strip([Segment("xxxx!" + "x" * (WIDTH - 5), STYLES[1])])
    sent = frame.reduce(part(3, 0, [changed], (0, WIDTH)), CONSOLE)
    assert sent.render_segments(CONSOLE) == "\x1b[1m\x1b[4;5H!\x1b[0m"


def test_a_style_is_sent_once_however_often_it_comes():
    frame = FrameDiff()
    frame.reduce(whole([Strip([Segment(" " * WIDTH, STYLES[2])])] * HEIGHT), CONSOLE)
    pattern = Strip([Segment("ab"[at % 2], STYLES[2 + at % 2]) for at in range(WIDTH)])
    sent = frame.reduce(whole([pattern] * HEIGHT), CONSOLE).render_segments(CONSOLE)
    assert sent.count("m") == 4, "two styles and their ends"


def test_another_size_and_a_new_frame_are_sent_whole():
    frame, chance = FrameDiff(), random.Random(0)
    update = whole([strip(chance, WIDTH) for _ in range(HEIGHT)])
    frame.reduce(update, CONSOLE)
    frame = FrameDiff()
    assert frame.reduce(update, CONSOLE) is update
    wider = LayoutUpdate([[strip(chance, WIDTH + 1)] for _ in range(HEIGHT)], Region(0, 0, WIDTH + 1, HEIGHT))
    assert frame.reduce(wider, CONSOLE) is wider


def test_text_of_odd_width_is_sent_with_its_piece():
    frame = FrameDiff()
    plain = Strip([Segment("x" * WIDTH, STYLES[1])])
    frame.reduce(whole([plain] * HEIGHT), CONSOLE)
    odd = Strip([Segment("世" + "x" * (WIDTH - 2), STYLES[1])])
    sent = frame.reduce(part(0, 0, [odd], (0, WIDTH)), CONSOLE).render_segments(CONSOLE)
    assert "世" + "x" * (WIDTH - 2) in sent
    assert CONSOLE._color_system is ColorSystem.TRUECOLOR
