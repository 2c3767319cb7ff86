"""A replay as text: JSON for scripts; for people a line for each result, what differs most, and the verdict last."""

import math
import re
from collections.abc import Iterable

import msgspec
from rich.console import RenderableType
from rich.table import Column, Table

from icltui.text.escape import visible
from icltui.text.pretty_json import pretty
from icltui.text.tables import number, numbers, render, table, words
from icltui.values import Difference, DifferenceKind, FieldReplay, ModelInfo, Replay, SectionReplay

_MOST_FIELDS = 12
_MOST_DIFFERENCES = 24
_KINDS: dict[DifferenceKind, str] = {
    "changed": "changed",
    "tie": "near tie",
    "words": "wording",
    "new": "new",
}
_INDEX = re.compile(r"\[\d+\]")


def replay_json(model: ModelInfo, replay: Replay) -> str:
    """Every field and every difference, and the model that all was computed on."""
    return pretty({"model": model, **msgspec.structs.asdict(replay)}) + "\n"


def replay_text(replay: Replay, width: int = 110) -> str:
    """The replay for people; the last line is the verdict."""
    fields = sorted(
        (field for section in replay.sections for field in section.fields if field.largest),
        key=_share,
        reverse=True,
    )
    differences = [difference for section in replay.sections for difference in section.differences]
    parts: list[RenderableType] = [
        f"Computed again; beyond: numbers that differ by more than rounding in {visible(replay.held_to)} explains",
        _sections(replay.sections),
    ]
    if fields:
        parts += [
            f"Numbers that differ most, against what rounding in {visible(replay.held_to)} may do",
            _fields(fields),
        ]
    if differences:
        parts += ["What else differs; only what has changed counts", *_others(differences)]
    if replay.notes:
        parts.append("\n".join(f"note: {visible(note)}" for note in replay.notes))
    return render((*parts, "same" if replay.same else "DIFFERS"), width)


def _share(field: FieldReplay) -> float:
    """The largest difference as a share of what is allowed; beyond 1 it has changed."""
    if not field.largest:
        return 0.0
    return field.largest / field.tolerance if field.tolerance else math.inf


def _sections(sections: Iterable[SectionReplay]) -> Table:
    return table(
        [
            words("result"),
            *numbers("numbers", "beyond", "largest / allowed", "others", "changed"),
            words(""),
        ],
        (
            (
                section.section,
                f"{section.n_numbers:,}",
                f"{sum(field.n_beyond for field in section.fields):,}",
                number(max(map(_share, section.fields), default=0.0)),
                f"{section.n_others:,}",
                f"{sum(d.kind == 'changed' for d in section.differences):,}",
                "same" if section.same else "DIFFERS",
            )
            for section in sections
        ),
    )


def _fields(fields: list[FieldReplay]) -> Table:
    return table(
        [
            words("where"),
            *numbers("of", "beyond", "difference", "allowed", "of scale", "saved", "recomputed"),
        ],
        (
            (
                visible(field.at),
                str(field.n_compared),
                str(field.n_beyond),
                *map(number, (field.largest, field.tolerance, field.relative)),
                *(f"{value:.6g}" for value in (field.saved, field.recomputed) if value is not None),
            )
            for field in fields[:_MOST_FIELDS]
        ),
    )


def _path_column(title: str) -> Column:
    """A column of paths, whose ends matter most: it is cut after all others."""
    return Column(title, no_wrap=True, overflow="ellipsis")


def _others(differences: Iterable[Difference]) -> Iterable[RenderableType]:
    """A line for each field that differs in one way, with the first path where it does."""
    groups: dict[tuple[DifferenceKind, str], list[Difference]] = {}
    for difference in differences:
        groups.setdefault((difference.kind, _INDEX.sub("[]", difference.at)), []).append(difference)
    lines = sorted(groups.items(), key=lambda item: list(_KINDS).index(item[0][0]))
    yield table(
        [words(""), *numbers("places"), _path_column("first"), words("saved"), words("recomputed")],
        (
            (_KINDS[kind], str(len(found)), *map(visible, (found[0].at, found[0].saved, found[0].recomputed)))
            for (kind, _), found in lines[:_MOST_DIFFERENCES]
        ),
    )
    if len(lines) > _MOST_DIFFERENCES:
        yield f"and {len(lines) - _MOST_DIFFERENCES} more fields: --format json has them all"
