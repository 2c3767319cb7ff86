"""Every way from a context to weights, for an agent: one row a patch, against a random one and the bound."""

from msgspec.structs import replace

from icltui.api.messages import Examine
from icltui.api.option_table import without_flags
from icltui.serve.mcp.answers.answer import AgentAnswer, Asked, Brief, Compose, Cut, name_of, rounded, words
from icltui.values import EXAM_PATCHES, Exam, ExamPatch, ExamRow
from icltui.values.errors import EngineError

CONTROLS: tuple[ExamPatch, ...] = ("per-step", "random")
"""The rows that are examined whatever was asked for."""
EVIDENCE = (
    "By construction: per step, a new patch for every token, is the bound, as good as the context itself; it holds no "
    "weights. Evidence: R on unseen queries (1 as with the context, 0 as without it, below 0 harm) whose interval is "
    "above that of random directions of equal norms, and little harm to unrelated text (collateral_kl)."
)


class ExamRowBrief(Brief, frozen=True):
    """One way from the context to weights."""

    patch: str
    r_median: float | None
    """On unseen queries."""
    r_low: float | None
    """Lower end of its 95 % interval."""
    r_high: float | None
    right: int
    """Unseen queries that are answered right."""
    collateral_kl: float | None
    """On unrelated text, in nats a token."""
    seconds: float | None
    floats: int | None
    """Numbers that it stores."""
    reason: str = ""
    """Why there is no such patch."""


class ExamBrief(Brief, frozen=True):
    """The sheet."""

    model: str
    n_unseen: int
    n_calibration: int
    rows: tuple[ExamRowBrief, ...]
    notes: tuple[str, ...] = ()


class ExamControls(Brief, frozen=True):
    """What the rows are to be held against."""

    random: ExamRowBrief | None
    """Random directions of equal norms."""
    bound: ExamRowBrief | None
    """A new patch for every token."""
    right_with_context: int
    right_without: int
    n_without_effect: int
    """Unseen queries on which the context changes nothing."""


async def exam(asked: Asked) -> Compose:
    """The exam, with a random patch and the bound among its rows."""
    request = asked.request
    if not isinstance(request, Examine):
        raise EngineError("the request is no exam: ask again")
    wanted = {*request.rows, *CONTROLS}
    rows = tuple(name for name in EXAM_PATCHES if name in wanted)
    found = (await asked.ask(replace(request, rows=rows))).exam
    if found is None:
        raise EngineError("the engine ended without an exam: ask again")

    def compose(cut: Cut) -> AgentAnswer[ExamBrief, ExamControls]:
        brief = _brief(asked, found, cut)
        controls = _controls(found)
        return AgentAnswer(
            summary=_words(found, controls),
            result=brief,
            controls=controls,
            evidence=EVIDENCE,
            left_out=cut.left_out,
        )

    return compose


def _brief(asked: Asked, found: Exam, cut: Cut) -> ExamBrief:
    return ExamBrief(
        model=name_of(asked.model),
        n_unseen=len(found.queries),
        n_calibration=len(found.calibration),
        rows=tuple(map(_row, found.rows)),
        notes=cut.rows("notes", found.notes),
    )


def _row(row: ExamRow) -> ExamRowBrief:
    return ExamRowBrief(
        patch=row.patch,
        r_median=rounded(row.r_median),
        r_low=rounded(row.r_low),
        r_high=rounded(row.r_high),
        right=row.right,
        collateral_kl=rounded(row.collateral_kl),
        seconds=rounded(row.seconds),
        floats=row.floats,
        reason=without_flags(row.reason),
    )


def _controls(found: Exam) -> ExamControls:
    rows = {row.patch: _row(row) for row in found.rows}
    return ExamControls(
        random=rows.get("random"),
        bound=rows.get("per-step"),
        right_with_context=sum(query.right_context for query in found.queries),
        right_without=sum(query.right_plain for query in found.queries),
        n_without_effect=found.n_without_effect,
    )


def _words(found: Exam, controls: ExamControls) -> str:
    said = "; ".join(f"{row.patch} {row.reason or words(row.r_median)}" for row in map(_row, found.rows))
    return (
        f"Median R on {len(found.queries)} unseen queries: {said}. Answered right: {controls.right_with_context} with "
        f"the context, {controls.right_without} without it."
    )
