"""An animated SVG shows each frame for its time, and nothing of the others; a line that frames share is in it once."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from icltui.tui.draw.animated_svg import Frame, animated_svg
from icltui.tui.draw.recording import LAST, LONGEST, MOST, SHORTEST, Recording
from tests.tui import HOSTILE

SVG = "{http://www.w3.org/2000/svg}"
INK, GROUND = "#dddddd", "#111111"


def strips(*lines: str, style: str = "") -> tuple[Strip, ...]:
    """Lines of one width."""
    width = max(map(len, lines))
    return tuple(Strip([Segment(line.ljust(width), Style.parse(style))]) for line in lines)


def shown_at(svg: str, seconds: float) -> list[str]:
    """The lines that a browser shows after so many seconds, from top to bottom."""
    style = re.search(r"<style>(.*?)</style>", svg, re.S)
    assert style
    lines: dict[float, str] = {}
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        if (name := group.get("class")) and _is_visible(style[1], name, seconds):
            for text in group.iter(f"{SVG}text"):
                y = float(text.get("y", "0"))
                lines[y] = lines.get(y, "") + (text.text or "").replace("\xa0", " ")
    return [lines[y] for y in sorted(lines)]


def _is_visible(css: str, name: str, seconds: float) -> bool:
    rule = re.search(rf"\.{name}\{{animation:{name} ([\d.]+)s", css)
    if rule is None:
        return True  # in every frame
    steps = re.search(rf"@keyframes {name}\{{(.*?\}})\}}", css)
    assert steps
    at = 100 * seconds / float(rule[1])
    found = [
        state
        for begin, state in re.findall(r"([\d.e+-]+)%\{visibility:(\w+)\}", steps[1])
        if float(begin) <= at
    ]
    return found[-1] == "visible"


def test_each_frame_is_shown_for_its_time() -> None:
    frames = [
        Frame(strips("title", "one", "same"), 1.0),
        Frame(strips("title", "two", "same"), 2.5),
        Frame(strips("title", "one", ""), 0.5),
    ]
    svg = animated_svg(frames, "it moves", INK, GROUND)
    assert shown_at(svg, 0.9) == ["title", "one", "same"]
    assert shown_at(svg, 1.1) == shown_at(svg, 3.4) == ["title", "two", "same"]
    assert shown_at(svg, 3.6) == ["title", "one"]
    assert svg.count(">one<") == svg.count(">same<") == svg.count(">title<") == 1
    assert svg == animated_svg(frames, "it moves", INK, GROUND)


def test_without_animation_the_last_frame_is_shown() -> None:
    svg = animated_svg([Frame(strips("first"), 1), Frame(strips("last."), 1)], "", INK, GROUND)
    stills = dict(re.findall(r"\.(k\d+)\{animation:[^}]*visibility:(\w+)\}", svg))
    shown = {text: stills[name] for name, text in re.findall(r'class="(k\d+)"><text[^>]*>([^<]*)<', svg)}
    assert shown == {"first": "hidden", "last.": "visible"}
    assert "prefers-reduced-motion" in svg


def test_looks_are_those_of_the_screen() -> None:
    line = Strip(
        [
            Segment("a", Style.parse("bold #ff0000 on #00ff00")),
            Segment(" "),
            Segment("b", Style.parse("reverse underline")),
        ]
    )
    svg = animated_svg([Frame((line,), 1)], "", INK, GROUND)
    assert 'fill="#00ff00"' in svg
    assert re.search(r"\.l\d\{fill:#ff0000;font-weight:bold\}", svg)
    assert re.search(rf"\.l\d\{{fill:{GROUND};text-decoration:underline\}}", svg)
    assert f'height="24.6" fill="{INK}"' in svg
    assert "@keyframes" not in svg


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_is_well_formed(text: str) -> None:
    svg = animated_svg([Frame((Strip([Segment(text)]),), 1.0)] * 2, text, INK, GROUND)
    ElementTree.fromstring(svg.encode("utf-8", "replace"))


def test_a_recording_shortens_waits_and_ends() -> None:
    now = [0.0]
    recording = Recording(lambda: now[0])
    for text, at in (("a", 0.0), ("a", 0.1), ("b", 0.15), ("c", 60.0), ("wider", 61.0)):
        now[0] = at
        recording.take(strips(text))
    assert [(frame.strips[0].text, frame.seconds) for frame in recording.frames] == [
        ("a", SHORTEST),
        ("b", LONGEST),
        ("c", LAST),
    ]
    for at in range(2 * MOST):
        recording.take(strips(chr(100 + at)))
    assert recording.is_full
    assert len(recording.frames) == MOST


def test_the_picture_of_the_readme_moves_and_is_small() -> None:
    path = Path(__file__).parents[2] / "screens" / "explorer.svg"
    svg = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 300_000
    ElementTree.fromstring(svg)
    assert any("the patched model is the contextual one" in line for line in shown_at(svg, _seconds(svg) - 1))
    assert not any("the patched model" in line for line in shown_at(svg, 0.1))


def _seconds(svg: str) -> float:
    found = re.search(r"animation:k\d+ ([\d.]+)s", svg)
    assert found
    return float(found[1])
