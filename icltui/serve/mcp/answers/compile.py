"""A context as one patch, for an agent: what was chosen and what it does on unseen queries, against no patch."""

from icltui.api.option_table import without_flags
from icltui.serve.mcp.answers.answer import AgentAnswer, Asked, Brief, Compose, Cut, name_of, rounded, words
from icltui.values import Compilation, CompiledQuery
from icltui.values.errors import EngineError
from icltui.values.prompt import layers_text
from icltui.values.recipe import patch_words

EVIDENCE = (
    "By construction: the calibration queries, which the patch is fitted on, are met whatever they are: no evidence. "
    "Evidence: R on unseen queries (1 as with the context, 0 as without it, below 0 harm); where none is held out, R "
    "with each calibration query left out in its turn; and the harm to unrelated text. The tool exam puts a random "
    "patch of equal norms to the same test."
)


class QueryBrief(Brief, frozen=True):
    """One unseen query, answered three ways."""

    query: str
    context: str
    patched: str
    plain: str
    r: float | None


class CompileBrief(Brief, frozen=True):
    """The patch that was chosen."""

    model: str
    sentence: str
    refused: str | None
    """Why it would harm; null where it would not."""
    patch: str
    layers: str
    n_calibration: int
    calibration: str
    """Where the calibration queries come from."""
    r_median: float | None
    """On unseen queries; null where none was held out."""
    kl: float | None
    """On unseen queries, in nats a token."""
    unseen: tuple[QueryBrief, ...]
    notes: tuple[str, ...] = ()


class CompileControls(Brief, frozen=True):
    """What the patch is to be held against."""

    n_unseen: int
    kl_without_patch: float | None
    """On unseen queries, in nats a token."""
    equal: int
    """Unseen tokens at which the most probable next one is as with the context."""
    equal_without_patch: int
    n_unseen_tokens: int
    leave_one_out_r: float | None
    """Median R on the calibration queries, each left out in its turn."""
    n_left_out: int
    n_harmed: int
    """Of them, those at which the patch is worse than none."""
    collateral_kl: float | None
    """On unrelated text, where it should do nothing, in nats a token."""


async def compile(asked: Asked) -> Compose:
    """The compilation, whose controls are its own."""
    found = (await asked.ask(asked.request)).compilation
    if found is None:
        raise EngineError("the engine ended without a compilation: ask again")

    def compose(cut: Cut) -> AgentAnswer[CompileBrief, CompileControls]:
        brief, controls = _brief(asked, found, cut), _controls(found)
        return AgentAnswer(
            summary=_words(brief, controls),
            result=brief,
            controls=controls,
            evidence=EVIDENCE,
            left_out=cut.left_out,
        )

    return compose


def _brief(asked: Asked, found: Compilation, cut: Cut) -> CompileBrief:
    unseen = [query for query in found.queries if query.role == "unseen"]
    return CompileBrief(
        model=name_of(asked.model),
        sentence=f"The patch {found.sentence}.",
        refused=None if found.refused is None else without_flags(found.refused),
        patch=patch_words(found.recipe),
        layers=layers_text(found.chosen.layers, asked.model.n_layers),
        n_calibration=found.calibration.n_queries,
        calibration=found.calibration.kind,
        r_median=rounded(found.unseen.r_median) if found.unseen else None,
        kl=rounded(found.unseen.kl) if found.unseen else None,
        unseen=cut.rows("unseen", (_query(query, cut) for query in unseen)),
        notes=cut.rows("notes", map(without_flags, (*found.left_out, *found.notes))),
    )


def _query(query: CompiledQuery, cut: Cut) -> QueryBrief:
    texts = (query.query, query.context, query.patched, query.plain)
    asked, context, patched, plain = map(cut.text, texts)
    return QueryBrief(query=asked, context=context, patched=patched, plain=plain, r=rounded(query.r))


def _controls(found: Compilation) -> CompileControls:
    unseen, left_out = found.unseen, found.leave_one_out
    return CompileControls(
        n_unseen=unseen.n_queries if unseen else 0,
        kl_without_patch=rounded(unseen.kl_plain) if unseen else None,
        equal=unseen.equal if unseen else 0,
        equal_without_patch=unseen.equal_plain if unseen else 0,
        n_unseen_tokens=unseen.n_tokens if unseen else 0,
        leave_one_out_r=rounded(left_out.r_median),
        n_left_out=left_out.n_queries,
        n_harmed=left_out.n_harmed,
        collateral_kl=rounded(found.collateral.kl) if found.collateral else None,
    )


def _words(brief: CompileBrief, controls: CompileControls) -> str:
    if controls.n_unseen:
        seen = (
            f"On {controls.n_unseen} unseen queries median R {words(brief.r_median)}, KL {words(brief.kl)} nats a "
            f"token, {words(controls.kl_without_patch)} without a patch."
        )
    else:
        seen = "No query was held out, so leave-one-out is all that is known."
    return (
        f"{brief.sentence} {seen} Each calibration query left out: median R {words(controls.leave_one_out_r)}, "
        f"{controls.n_harmed} of {controls.n_left_out} harmed. Unrelated text: KL {words(controls.collateral_kl)}."
    )
