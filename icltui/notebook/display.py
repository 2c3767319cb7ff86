"""What a notebook shows of a session and of results: a picture where there are measures, else tables.

Enters: a value. Leaves: texts by their MIME type, one of which a notebook chooses. The picture is an SVG on a white
page; without Matplotlib, and for what has no picture, it is HTML that takes the page's own colours. Nothing is set in
Matplotlib, and no text of a token is markup.
"""

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

from rich.table import Table

from icltui.notebook.held_patch_report import HeldPatchReport
from icltui.report.compilation import compilation_parts
from icltui.report.curves import found_losses
from icltui.report.exam import exam_parts
from icltui.report.generate import lane_title
from icltui.report.heads import found_heads
from icltui.report.patch import patch_parts
from icltui.report.session_picture import session_picture
from icltui.report.summary_tables import flip_table, largest_delta_table
from icltui.report.verify import proof_parts, verdict_line
from icltui.text.escape import visible
from icltui.text.html import Block, Title, page
from icltui.text.tables import render
from icltui.values import (
    LANES,
    AttentionHeads,
    Compilation,
    Exam,
    Generation,
    Lane,
    LossCurves,
    Measurement,
    Record,
    Session,
    Verification,
)
from icltui.values.prompt import Prompt

Bundle = dict[str, str]
"""Texts by their MIME type."""
_WIDTH = 110


def bundle_of_session(session: Session) -> Bundle:
    """A session: its figure with controls and verdict beside it; without measures or Matplotlib, all that it says."""
    drawn = _picture(session)
    parts = [*_session_parts(session)]
    return {
        "text/plain": _plain(parts),
        **({"text/html": page(parts)} if drawn is None else {"image/svg+xml": drawn}),
    }


def bundle_of(value: Record) -> Bundle:
    """A measurement as a session's figure; every other result as HTML."""
    if isinstance(value, Measurement):
        return bundle_of_session(
            Session(title="measurement", prompt=_prompt(value), created="", measurement=value)
        )
    parts = [*_PARTS[type(value)](value)]
    return {"text/plain": _plain(parts), "text/html": page(parts)}


def svg_of(session: Session) -> str | None:
    """The picture of a session; None where it holds no measures, or Matplotlib is missing."""
    return _picture(session)


def show_in_notebooks() -> None:
    """Let every result, and a report on a patch, show itself."""
    for kind in (Measurement, *_PARTS):
        kind._repr_mimebundle_ = _shown  # type: ignore[attr-defined]


def _shown(self: Record, **_: Any) -> Bundle:
    return bundle_of(self)


def _picture(session: Session) -> str | None:
    if importlib.util.find_spec("matplotlib") is None or not _has_measures(session):
        return None
    return session_picture(session).decode()


def _has_measures(session: Session) -> bool:
    return session.measurement is not None and bool(session.measurement.rows)


def _prompt(measurement: Measurement) -> Prompt:
    texts = (
        "".join(token.text for token in part)
        for part in (measurement.tokens.context, measurement.tokens.query)
    )
    context, query = texts
    return Prompt(context=context, query=query)


def _session_parts(session: Session) -> Iterator[Any]:
    yield Title(session.title or "icltui session")
    if session.model is not None:
        yield f"{session.model.name} · {session.model.dtype} · {session.model.n_layers} layers"
    yield "Context"
    yield _text(session.prompt.context)
    yield "Query"
    yield _text(session.prompt.query)
    if session.measurement is not None:
        yield from _measurement_parts(session.measurement)
    if session.generation is not None:
        yield from _generation_parts(session.generation)
    if session.verification is not None:
        yield from _verification_parts(session.verification)


def _measurement_parts(measurement: Measurement) -> Iterator[Any]:
    if measurement.layers and measurement.tokens.units:
        layer = measurement.layers[-1]
        yield Title(f"The units with the largest ‖δ‖ at layer {layer} ({measurement.dynamics})")
        yield largest_delta_table(measurement, layer)
    if measurement.predictions:
        yield Title("Where the most probable next token changes")
        made = flip_table(measurement)
        yield made if made.row_count else "nowhere"


def _generation_parts(generation: Generation) -> Iterator[Any]:
    for lane in (lane for lane in LANES if lane in generation.lanes):
        yield Title(lane_title(generation, lane))
        yield _lane(generation, lane)
    yield from _titled(patch_parts(generation))


def _lane(generation: Generation, lane: Lane) -> Block:
    """The lane's text; its tokens that are not those of the lane with the context stand out."""
    made, context = generation.lanes[lane], generation.lanes.get("context")
    if not made.steps or context is None or lane == "context":
        return _text(made.text)
    there = context.token_ids
    return Block(
        (step.token.text, k >= len(there) or there[k] != step.token.id)
        for k, step in enumerate(made.steps[:_MOST])
    )


def _verification_parts(verification: Verification) -> Iterator[Any]:
    yield Title(verdict_line(verification))
    yield from _titled(proof_parts(verification)[:-1])


def _titled(parts: Any) -> Iterator[Any]:
    """Sentences and tables; the sentence before a table is its title."""
    parts = [*parts]
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        yield Title(part) if isinstance(following, Table) and isinstance(part, str) else part


_UNKNOWN = 0
"""How many layers a model has of which nothing is known: no list of layers is all of them."""
_PARTS: dict[type, Callable[[Any], Iterator[Any]]] = {
    Generation: _generation_parts,
    Verification: _verification_parts,
    LossCurves: lambda curves: _titled(found_losses(curves)),
    AttentionHeads: lambda heads: _titled(found_heads(heads, _UNKNOWN)),
    Compilation: lambda compilation: _titled(compilation_parts(compilation, _UNKNOWN)),
    Exam: lambda exam: _titled(exam_parts(exam)),
    HeldPatchReport: lambda report: _titled(report.parts),
}
_MOST = 4096
"""Characters of a text, or tokens of a lane, that are shown."""


def _text(text: str) -> Block:
    return Block([(text if len(text) <= _MOST else f"{text[:_MOST]}…", False)])


def _plain(parts: list[Any]) -> str:
    """The parts as text; a title belongs to what follows it."""
    return render([part if isinstance(part, Table) else _visible_lines(str(part)) for part in parts], _WIDTH)


def _visible_lines(text: str) -> str:
    return "\n".join(map(visible, text.split("\n")))
