"""Exams of families as text: each family's compiled patch, every patch's R, and medians beside what is wanted."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from rich.console import RenderableType

from icltui.bench.families import N_CALIBRATION, FamilyResults
from icltui.bench.family_records import FamilyExam, FamilyPatch, rows_of
from icltui.tasks.family import Family
from icltui.text.escape import visible
from icltui.text.tables import number, numbers, render, table, words
from icltui.values import EXAM_PATCHES, EXAM_TITLES, ExamPatch, ExamRow

_WANTED_R, _WANTED_RIGHT, _WANTED_COLLATERAL = 0.95, 0.9, 0.05
_SHOWN: ExamPatch = "ordinary"
"""The patch that is shown family by family."""

Rows = Mapping[str, Mapping[ExamPatch, ExamRow]]
"""The rows of each family's exam, by the patch."""


def families_table(found: FamilyResults, width: int) -> str:
    """The results as text."""
    return render(_parts(found), width)


def can_do(rows: Mapping[ExamPatch, ExamRow], n_queries: int) -> bool:
    """Whether the model itself answers half of the unseen queries right with the context."""
    return any(2 * row.right_context >= n_queries for row in rows.values())


def _parts(found: FamilyResults) -> Iterable[RenderableType]:
    exams = {record.family: record for record in found.records if isinstance(record, FamilyExam)}
    rows: Rows = {
        family.name: {row.patch: row for row in rows_of(found.records, family.name, seed=0)}
        for family in found.families
        if family.name in exams
    }
    if rows:
        able = [
            family
            for family in found.families
            if family.name in rows and can_do(rows[family.name], len(exams[family.name].exam.queries))
        ]
        word = [family.name for family in able if family.kind == "word"]
        yield _title(found, len(rows), len(word))
        yield _each_family(found, rows, exams, [family.name for family in able])
        yield "Median R on the unseen queries, by patch"
        yield _each_patch(found.families, rows)
        for kind, names in _groups(found.families, rows, word).items():
            yield f"{kind} ({len(names)} families): medians over the families"
            yield _summary(names, rows)
    if patches := [record for record in found.records if isinstance(record, FamilyPatch)]:
        yield (
            "Patches compiled, refused by their calibration queries and collateral alone, judged on unseen queries; "
            "worse: than no patch, R below 0, in the median or of the KL of all queries together"
        )
        yield _harm(patches)


def _title(found: FamilyResults, n: int, n_able: int) -> str:
    return (
        f"{visible(found.key.model)}, {found.key.dtype}, --bos {found.key.bos}; {n} families. R = 1 − KL(context ‖ "
        "patched) / KL(context ‖ no patch) on unseen queries. + : with the context the model itself answers half of "
        f"them right ({n_able} families of words). Wanted there: R ≥ {_WANTED_R}, {_WANTED_RIGHT:.0%} of the answers "
        f"that are right with the context, collateral ≤ {_WANTED_COLLATERAL} nats."
    )


def _each_family(
    found: FamilyResults, rows: Rows, exams: Mapping[str, FamilyExam], able: Sequence[str]
) -> RenderableType:
    titles = ("R", "interval", "right/context/none", "collateral", "s", "choice s", "refused")
    lines = []
    for family in found.families:
        row = rows.get(family.name, {}).get(_SHOWN)
        if row is None:
            continue
        exam = exams[family.name]
        lines.append(
            (
                f"{family.name} +" if family.name in able else family.name,
                family.kind,
                number(row.r_median),
                f"{number(row.r_low)} to {number(row.r_high)}",
                f"{row.right}/{row.right_context}/{row.right_plain} of {len(exam.exam.queries)}",
                number(row.collateral_kl),
                number(row.seconds),
                number(exam.made.seconds if exam.made else None),
                "yes" if exam.made and exam.made.refused else "",
            )
        )
    return table([words(EXAM_TITLES[_SHOWN]), words("kind"), *numbers(*titles)], lines)


def _each_patch(families: Sequence[Family], rows: Rows) -> RenderableType:
    shown = _patches(rows)
    lines = (
        (family.name, *(number(_r(rows[family.name].get(patch))) for patch in shown))
        for family in families
        if family.name in rows
    )
    return table([words(""), *numbers(*shown)], lines)


def _groups(families: Sequence[Family], rows: Rows, word: Sequence[str]) -> dict[str, Sequence[str]]:
    """Names of families that medians are taken over, by what they have in common."""
    groups = {"Words that the model can do in context": word}
    for kind, title in (("form", "Forms and manners"), ("fact", "Facts of a document")):
        groups[title] = [family.name for family in families if family.kind == kind and family.name in rows]
    return {title: names for title, names in groups.items() if names}


def _summary(names: Sequence[str], rows: Rows) -> RenderableType:
    """A line for each patch: medians over the families that have it."""
    titles = ("families", "R", "right of those with context", "collateral", "seconds", "floats")
    lines = []
    for patch in _patches(rows):
        some = [rows[name][patch] for name in names if patch in rows[name] and not rows[name][patch].reason]
        if some:
            right, context = sum(r.right_of_context for r in some), sum(r.right_context for r in some)
            lines.append(
                (
                    EXAM_TITLES[patch],
                    str(len(some)),
                    _median(row.r_median for row in some),
                    f"{right} of {context}" + (f" ({right / context:.0%})" if context else ""),
                    _median(row.collateral_kl for row in some),
                    _median(row.seconds for row in some),
                    _median(row.floats for row in some),
                )
            )
    return table([words(""), *numbers(*titles)], lines)


def _harm(patches: Sequence[FamilyPatch]) -> RenderableType:
    """A line for each number of calibration queries, and one for all of them."""
    groups = {f"{n} queries": [one for one in patches if one.n_queries == n] for n in N_CALIBRATION}
    groups = {title: some for title, some in groups.items() if some} | {"all": list(patches)}
    lines = []
    for title, some in groups.items():
        kept = [one for one in some if one.refused is None]
        refused = [one for one in some if one.refused is not None]
        lines.append(
            (
                title,
                str(len(some)),
                str(len(refused)),
                str(sum(one.is_worse for one in refused)),
                str(len(kept)),
                str(sum(one.is_harmful for one in kept)),
                _median(one.r_median for one in kept),
                _median(one.collateral for one in kept),
                _median(one.seconds for one in some),
            )
        )
    titles = (
        "patches",
        "refused",
        "worse",
        "unforced",
        "worse",
        "R",
        "collateral",
        "seconds",
    )
    return table([words("made from"), *numbers(*titles)], lines)


def _patches(rows: Rows) -> list[ExamPatch]:
    """The patches that any family has, in the order of an exam."""
    return [patch for patch in EXAM_PATCHES if any(patch in of for of in rows.values())]


def _r(row: ExamRow | None) -> float | None:
    return None if row is None else row.r_median


def _median(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return number(median(known)) if known else number(None)
