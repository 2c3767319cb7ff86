"""Several screens as one SVG that shows them one after the other, by CSS key frames alone: no script, no other file.

A line that several frames share is written once, and shown while they are. A program that knows no animation, and a
reader who wants none, get the last frame.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from rich.cells import cell_len
from rich.color import Color, blend_rgb
from rich.style import Style
from textual.strip import Strip

from icltui.text.escape import visible

CELL, LINE, SIZE = 12.2, 24.4, 20
"""Units of a cell's width, a line's height and the font."""
_MARGIN, _BAR = 10, 36
_FONTS = "'Fira Code',Menlo,Consolas,'DejaVu Sans Mono',monospace"
_DIM = 0.45


@dataclass(frozen=True)
class Frame:
    """What the screen shows, and for how many seconds."""

    strips: tuple[Strip, ...]
    seconds: float


@dataclass(frozen=True)
class _Look:
    """The colours and the attributes of a run of text."""

    ink: str
    ground: str
    marks: str


def animated_svg(frames: Sequence[Frame], title: str, ink: str, ground: str) -> str:
    """One or more frames of one size as an SVG under ``title``, on the theme's colours ``ink`` and ``ground``.

    Both are ``#rrggbb``. The same frames give the same text.
    """
    lines = _shared_lines(frames, ink, ground)
    width = max(strip.cell_length for strip in frames[0].strips) * CELL + 2 * _MARGIN
    height = len(frames[0].strips) * LINE + 2 * _MARGIN + _BAR
    shown = sorted({mask for _, _, mask in lines})
    looks = {
        look: f"l{at}"
        for at, look in enumerate(sorted({run[2] for _, runs, _ in lines for run in runs}, key=repr))
    }
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.1f} {height:.1f}" role="img">',
            f"<title>{escape(visible(title))}</title>",
            f"<style>\n{''.join(_style(frames, shown, looks))}</style>",
            f'<rect width="100%" height="100%" rx="8" fill="{ground}"/>',
            *(f'<circle cx="{22 + 22 * at}" cy="20" r="6" fill="{ink}" opacity=".25"/>' for at in range(3)),
            f'<text x="50%" y="26" text-anchor="middle" fill="{ink}" opacity=".7">{escape(visible(title))}</text>',
            f'<g transform="translate({_MARGIN},{_MARGIN + _BAR})">',
            *(
                _group(mask, [line for line in lines if line[2] == mask], shown, looks, ground)
                for mask in shown
            ),
            "</g>\n</svg>\n",
        )
    )


_Run = tuple[int, str, _Look]
"""Its first cell, its text, and its look."""


def _shared_lines(frames: Sequence[Frame], ink: str, ground: str) -> list[tuple[int, tuple[_Run, ...], int]]:
    """Each different line at its height, with the frames that show it as bits."""
    masks: dict[tuple[int, tuple[_Run, ...]], int] = {}
    for bit, frame in enumerate(frames):
        for y, strip in enumerate(frame.strips):
            if runs := tuple(_runs(strip, ink, ground)):
                masks[y, runs] = masks.get((y, runs), 0) | 1 << bit
    return [(y, runs, mask) for (y, runs), mask in masks.items()]


def _runs(strip: Strip, ink: str, ground: str) -> Iterator[_Run]:
    """The runs of one look in a line; nothing for blanks on the theme's ground."""
    x = 0
    for segment in strip.simplify():
        look = _look(segment.style or Style.null(), ink, ground)
        n_blanks = len(segment.text) - len(segment.text.lstrip(" "))
        is_bare = look.ground == ground and "u" not in look.marks
        if segment.text.strip(" ") or not is_bare:
            text = segment.text.strip(" ") if is_bare else segment.text
            yield x + (n_blanks if is_bare else 0), text, look
        x += segment.cell_length


def _look(style: Style, ink: str, ground: str) -> _Look:
    front, back = _hex(style.color, ink), _hex(style.bgcolor, ground)
    if style.reverse:
        front, back = back, front
    if style.dim:
        front = _blended(front, back)
    marks = {"b": style.bold, "i": style.italic, "u": style.underline, "s": style.strike}
    return _Look(front, back, "".join(mark for mark, is_set in marks.items() if is_set))


def _hex(colour: Color | None, otherwise: str) -> str:
    return otherwise if colour is None or colour.is_default else colour.get_truecolor().hex


def _blended(front: str, back: str) -> str:
    return (
        Color.from_triplet(
            blend_rgb(Color.parse(front).get_truecolor(), Color.parse(back).get_truecolor(), _DIM)
        )
        .get_truecolor()
        .hex
    )


_MARKS = {"b": "font-weight:bold", "i": "font-style:italic"}
_LINES = {"u": "underline", "s": "line-through"}


def _style(frames: Sequence[Frame], shown: Sequence[int], looks: dict[_Look, str]) -> Iterator[str]:
    yield f"text{{font:{SIZE}px {_FONTS}}}\n"
    for look, name in looks.items():
        lines = " ".join(line for mark, line in _LINES.items() if mark in look.marks)
        rules = [f"fill:{look.ink}", *(rule for mark, rule in _MARKS.items() if mark in look.marks)]
        rules += [f"text-decoration:{lines}"] if lines else []
        yield f".{name}{{{';'.join(rules)}}}\n"
    if len(frames) == 1:
        return
    total = sum(frame.seconds for frame in frames)
    last = 1 << len(frames) - 1
    for at, mask in enumerate(shown):
        if mask == 2 * last - 1:
            continue
        yield f"@keyframes k{at}{{{''.join(_steps(frames, mask, total))}}}\n"
        still = "visible" if mask & last else "hidden"
        yield f".k{at}{{animation:k{at} {total:g}s step-end infinite;visibility:{still}}}\n"
    yield "@media (prefers-reduced-motion:reduce){g{animation:none!important}}\n"


def _steps(frames: Sequence[Frame], mask: int, total: float) -> Iterator[str]:
    """The key frames at which a group appears and goes."""
    begin, before = 0.0, None
    for bit, frame in enumerate(frames):
        is_shown = bool(mask >> bit & 1)
        if is_shown != before:
            yield f"{100 * begin / total:.4g}%{{visibility:{'visible' if is_shown else 'hidden'}}}"
        begin, before = begin + frame.seconds, is_shown


def _group(
    mask: int,
    lines: Sequence[tuple[int, tuple[_Run, ...], int]],
    shown: Sequence[int],
    looks: dict[_Look, str],
    ground: str,
) -> str:
    """The lines that the same frames show."""
    drawn = (_drawn(y, run, looks, ground) for y, runs, _ in lines for run in runs)
    return f'<g class="k{shown.index(mask)}">{"".join(drawn)}</g>'


def _drawn(y: int, run: _Run, looks: dict[_Look, str], ground: str) -> str:
    first, text, look = run
    x, width = first * CELL, cell_len(text) * CELL
    box = f'x="{x:.1f}" y="{y * LINE:.1f}" width="{width:.2f}" height="{LINE + 0.2:.1f}"'
    rect = "" if look.ground == ground else f'<rect {box} fill="{look.ground}"/>'
    if not text.strip(" "):
        return rect
    at = f'x="{x:.1f}" y="{y * LINE + 18.5:.1f}" textLength="{width:.1f}"'
    words = escape(visible(text), quote=False).replace(
        " ", "\xa0"
    )  # of several blanks most programs draw one
    return f'{rect}<text class="{looks[look]}" {at}>{words}</text>'
