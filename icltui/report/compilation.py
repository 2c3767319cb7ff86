"""A context as one patch, as text: JSON for scripts; for people one sentence, then what it rests on.

No text of a token is passed on to a terminal as it is.
"""

from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.table import Table

from icltui.report.json_document import as_json
from icltui.report.model_notes import model_lines
from icltui.text.escape import token_text, visible
from icltui.text.tables import number, numbers, render, table, words
from icltui.values import ChoicePoint, Compilation, CompiledQuery, ModelInfo
from icltui.values.prompt import Prompt, layers_text
from icltui.values.recipe import patch_words

_KINDS = {"user": "given", "repeat": "pieces of the context", "self": "written by the model in the context"}


def compile_json(model: ModelInfo, prompt: Prompt, compilation: Compilation) -> str:
    """Every number, the queries with their answers, and what they are made from."""
    fields = {name: getattr(compilation, name) for name in Compilation.__struct_fields__}
    return as_json({"model": model, "positions": prompt.positions, "chat": prompt.chat, **fields})


def compile_text(model: ModelInfo, compilation: Compilation, width: int = 110) -> str:
    """The sentence, what was chosen and why, the queries, and what was written."""
    return render([*model_lines(model), *compilation_parts(compilation, model.n_layers)], width)


def compilation_parts(compilation: Compilation, n_layers: int) -> list[RenderableType]:
    """Sentences and tables, each table after its title."""
    parts: list[RenderableType] = [f"The patch {visible(compilation.sentence)}."]
    if compilation.refused:
        parts.append(_refusal(compilation))
    parts.append("\n".join(_how(compilation, n_layers)))
    for role, title in (
        ("unseen", "Unseen queries, answered three ways; R: 1 as with the context, 0 as without it"),
        ("calibration", "Calibration queries, which the patch was made from: no evidence"),
    ):
        if queries := [query for query in compilation.queries if query.role == role]:
            parts += [title, _queries(queries)]
    if compilation.leave_one_out.curve:
        parts += ["What was tried, by leave-one-out", _curve(compilation.leave_one_out.curve, n_layers)]
    if last := "\n".join(_after(compilation)):
        parts.append(last)
    return parts


def _refusal(compilation: Compilation) -> str:
    made = "made all the same, as it was forced" if compilation.forced else "nothing was written"
    return f"refused, {made}: {visible(compilation.refused or '')}"


def _how(compilation: Compilation, n_layers: int) -> Iterator[str]:
    """What it was made from, how, and what leave-one-out says."""
    made, found = compilation.calibration, compilation.leave_one_out
    yield (
        f"made of {made.n_queries} calibration queries, {_KINDS[made.kind]} ({made.n_tokens} tokens), in "
        f"{compilation.seconds:.1f} s"
    )
    chosen = compilation.chosen
    pinned = f"; given, not chosen: {', '.join(chosen.pinned)}" if chosen.pinned else ""
    made_by = visible(patch_words(compilation.recipe))
    yield f"patch: {made_by}; layers {layers_text(chosen.layers, n_layers)}, rank {chosen.rank}{pinned}"
    if found.r_median is not None:
        yield (
            f"leave-one-out: median R {number(found.r_median)} over {found.n_queries} queries, "
            f"{found.n_harmed} of them worse than without a patch"
        )
    if found.refit_difference is not None:
        yield (
            f"{found.n_refits} patches made without a query differ from that by at most "
            f"{number(found.refit_difference)}"
        )
    if compilation.unseen is None:
        yield "no unseen query was given (--holdout), so leave-one-out is all that is known"
    elif compilation.unseen.n_queries:
        unseen = compilation.unseen
        yield (
            f"unseen: median R {number(unseen.r_median)}, KL {number(unseen.kl)} a token against "
            f"{number(unseen.kl_plain)} without it, {unseen.equal} of {unseen.n_tokens} top tokens as with the "
            f"context ({unseen.equal_plain} without it)"
        )
    if compilation.collateral is not None and compilation.collateral.kl is not None:
        other = compilation.collateral
        yield f"unrelated text: KL {number(other.kl)} a token over {other.n_tokens} tokens"


def _queries(queries: Iterable[CompiledQuery]) -> Table:
    columns = [words("query"), words("with context"), words("patched"), words("without")]
    return table(
        [*columns, *numbers("R", "KL", "KL without", "same top")],
        (
            (
                *map(token_text, (query.query, query.context, query.patched, query.plain)),
                *map(number, (query.r, query.kl, query.kl_plain)),
                f"{query.equal}/{query.n_tokens}",
            )
            for query in queries
        ),
    )


def _curve(points: Iterable[ChoicePoint], n_layers: int) -> Table:
    titles = ("rank", "ε", "ridge", "α", "R", "KL", "collateral", "s")
    return table(
        [words("step"), words("metric"), words("layers"), words("components"), *numbers(*titles)],
        (
            (
                f"{'* ' if point.chosen else ''}{point.step}",
                point.metric,
                layers_text(point.layers, n_layers),
                point.components,
                "·" if point.rank is None else str(point.rank),
                *map(number, (point.epsilon, point.ridge, point.alpha)),
                *map(number, (point.r_median, point.kl, point.collateral, point.seconds)),
            )
            for point in points
        ),
    )


def _after(compilation: Compilation) -> Iterator[str]:
    """What was written, what it lacks, and what to know."""
    if compilation.files:
        yield "written:"
        yield from (f"  {visible(name)}" for name in compilation.files)
    if compilation.left_out:
        yield f"left out: {visible('; '.join(compilation.left_out))}"
    yield from (f"note: {visible(note)}" for note in compilation.notes)
