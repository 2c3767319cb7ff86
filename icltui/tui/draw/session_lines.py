"""A session in a list as one line, and as a few lines beside it: its picture, when, which model, what it says."""

from datetime import datetime

from rich.style import Style
from textual.content import Content

from icltui.tui.draw.colormap import Ramp, glyph
from icltui.tui.draw.safe_text import fit, readable
from icltui.tui.state.session_list import SessionEntry

_WHEN, _NAME, _CELLS = 15, (16, 22), (12, 20)
_GAP = "  "


def session_line(entry: SessionEntry, width: int, now: datetime, ramp: Ramp) -> list[tuple[str, Style | str]]:
    """Name, picture, moment, then model and note, or what an example shows, on ``width`` cells."""
    is_roomy = width >= 100
    name, cells = _NAME[is_roomy], _CELLS[is_roomy]
    is_faulty = bool(entry.facts and entry.facts.fault)
    rest = max(width - name - cells - _WHEN - 3 * len(_GAP), 0)
    return [
        (fit(entry.name, name) + _GAP, "strong"),
        *heat_strip(entry.facts.heat if entry.facts else (), cells, ramp),
        (_GAP + fit(entry.when(now), _WHEN) + _GAP, ""),
        (fit(entry.remark(), rest) if entry.remark() else " " * rest, "warning" if is_faulty else "quiet"),
    ]


def heat_strip(heat: tuple[int, ...], width: int, ramp: Ramp) -> list[tuple[str, Style | str]]:
    """‖δ‖ of the units in turn, a cell for each as far as there is room, else for the largest of several."""
    n = min(len(heat), width)
    cells = [max(heat[len(heat) * k // n : len(heat) * (k + 1) // n]) for k in range(n)]
    drawn: list[tuple[str, Style | str]] = [
        (" ", "")
        if level < 0
        else (glyph(level / 100), "")
        if ramp.needs_glyphs
        else (" ", ramp.style(level / 100))
        for level in cells
    ]
    return [*drawn, (" " * (width - n), "")]


def session_preview(entry: SessionEntry | None, width: int) -> Content:
    """What it shows, context, query, and what the model says with the context and without, on six lines."""
    if entry is None or entry.facts is None:
        return Content("")
    facts, room = entry.facts, max(width - 11, 1)
    if facts.fault:
        return Content.assemble((fit(f"{entry.path} {facts.fault}", width), "$text-warning"))
    context = readable(facts.context) or "none"
    second = ("", context[room : 2 * room])
    rows = [("shows", entry.lesson)] if entry.lesson else []
    rows += [
        ("context", context[:room]),
        *([] if entry.lesson else [second]),
        ("query", readable(facts.query)),
    ]
    if facts.said_with is not None or facts.said_without is not None:
        rows += [("with it", _said(facts.said_with)), ("without", _said(facts.said_without))]
    model = f"{facts.model}, {facts.n_layers} layers, " if facts.model else ""
    rows.append(
        ("", f"{model}{facts.n_units} units measured" if facts.n_units else f"{model}nothing measured yet")
    )
    lines = [
        Content.assemble((f"{title:<9}", "$text-muted"), Content(fit(text, room) if text else ""))
        for title, text in rows
    ]
    return Content("\n").join(lines)


def _said(text: str | None) -> str:
    return "not generated" if text is None else readable(text) or "nothing"
