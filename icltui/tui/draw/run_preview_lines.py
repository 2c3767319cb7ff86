"""One run at a glance: its context shaded by what each unit does, what it said, its numbers, how it was asked.

A run enters; lines of styled text leave.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style

from icltui.tui.draw.colormap import Ramp, glyph, level
from icltui.tui.draw.run_lines import RunLine
from icltui.tui.draw.safe_text import display, fit, number
from icltui.tui.draw.wrap import wrap_units
from icltui.values import LANE_TITLES, LANES, Measurement, Session
from icltui.values.recipe import patch_words

Line = list[Segment]
_STRIP_LINES, _STRIP_UNITS = 5, 400
_LANE_LINES, _LABEL = 2, 14
_FEW = 14
"""Lines with which only what matters is shown."""


@dataclass(frozen=True)
class PreviewStyles:
    """How a preview looks."""

    base: Style
    muted: Style
    strong: Style
    ramp: Ramp


def preview_lines(line: RunLine, width: int, height: int, styles: PreviewStyles) -> list[Line]:
    """The lines of one run, each of at most ``width`` cells; where there are few of them, without blanks between."""
    made = list(_lines(line, max(width, 10), _STRIP_LINES if height > _FEW else 2, styles))
    return made if height > _FEW else [one for one in made if one]


def _lines(line: RunLine, width: int, n_strip: int, styles: PreviewStyles) -> Iterator[Line]:
    session, run = line.run.session, line.run
    star = " ★" if run.starred else ""
    yield [Segment(fit(f"run {run.number}{star}  {_moment(session.created)}", width), styles.strong)]
    yield from _wrapped(line.title, width, 3 if n_strip == _STRIP_LINES else 1, styles.base)
    if run.note:
        yield from _wrapped(f"“{run.note}”", width, 3, styles.muted)
    yield []
    yield from _strip(session, width, n_strip, styles)
    yield []
    yield from _wrapped(_numbers(line), width, 2, styles.strong)
    for lane in LANES:
        said = session.generation.lanes.get(lane) if session.generation else None
        if said is not None:
            words = said.text.strip() or "no text"
            if n_strip < _STRIP_LINES:
                yield [
                    Segment(fit(LANE_TITLES[lane], _LABEL), styles.muted),
                    Segment(fit(words, width - _LABEL), styles.base),
                ]
                continue
            yield [Segment(fit(LANE_TITLES[lane], width), styles.muted)]
            yield from _wrapped(words, width, _LANE_LINES, styles.base)
    yield []
    yield from _wrapped(_settings(session), width, 4, styles.muted)


def _strip(session: Session, width: int, n_lines: int, styles: PreviewStyles) -> Iterator[Line]:
    """The units of the context, each on the shade of its largest ‖δ‖ over the layers, in the logarithm."""
    measured = session.measurement
    if measured is None:
        yield from _wrapped(session.prompt.context or session.prompt.query, width, n_lines, styles.base)
        yield [Segment(fit("not measured", width), styles.muted)]
        return
    peaks = _peaks(measured)
    known = [peak for peak in peaks.values() if peak > 0]
    low, high = (min(known), max(known)) if known else (1.0, 1.0)
    units = ((unit.index, unit.text) for unit in measured.tokens.units[:_STRIP_UNITS])
    for pieces in wrap_units(units, width).lines[:n_lines]:
        fractions = [level(peaks.get(piece.unit), low, high, log=True) for piece in pieces]
        pairs = list(zip(pieces, fractions, strict=True))
        yield [Segment(piece.text, _shaded(fraction, styles)) for piece, fraction in pairs]
        if styles.ramp.needs_glyphs:
            ink = (" " if f is None else glyph(f) for _, f in pairs)
            yield [Segment(mark * piece.width, styles.muted) for mark, piece in zip(ink, pieces, strict=True)]
    yield [Segment(fit("‖δ‖, the largest of all layers", width), styles.muted)]


def _shaded(fraction: float | None, styles: PreviewStyles) -> Style:
    if fraction is None or styles.ramp.needs_glyphs:
        return styles.base
    return styles.base + styles.ramp.style(fraction)


def _peaks(measured: Measurement) -> dict[int, float]:
    peaks: dict[int, float] = {}
    for row in measured.rows:
        if row.delta_norm is not None:
            peaks[row.unit] = max(row.delta_norm, peaks.get(row.unit, 0.0))
    return peaks


def _numbers(line: RunLine) -> str:
    found = line.numbers
    named = (
        *(("KL", found.kl), ("query only", found.kl_plain)),
        *(("in its text", found.kl_text), ("elsewhere", found.kl_others)),
    )
    words = [f"{name} {number(value, 6).strip()}" for name, value in named if value is not None]
    if found.n_tokens:
        words.append(f"equal {found.n_equal}/{found.n_tokens}")
    return " · ".join(words) or "no patch was made"


def _settings(session: Session) -> str:
    prompt, sampling = session.prompt, session.sampling
    words = [patch_words(session.recipe), f"layers {session.layers}", session.dynamics, f"unit {prompt.unit}"]
    words += ["chat"] if prompt.chat else []
    words += [f"temperature {sampling.temperature:g}"] if sampling.temperature else []
    return " · ".join([*words, *([session.model.name] if session.model else [])])


def _wrapped(text: str, width: int, most: int, style: Style) -> Iterator[Line]:
    lines = wrap_units([(0, text[: width * most * 2])], width).lines
    for at, line in enumerate(lines[:most]):
        shown = "".join(piece.text for piece in line)
        is_cut = at == most - 1 and (len(lines) > most or len(text) > width * most * 2)
        yield [Segment(fit(f"{shown.rstrip()}…", width).rstrip() if is_cut else shown, style)]


def _moment(created: str) -> str:
    """Day and time in UTC; empty where it is none."""
    return display(f"{created[:10]} {created[11:16]}") if created[10:11] == "T" else ""
