"""What joining adapters gave, as text: JSON for scripts, tables for people."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType

from icltui.report.json_document import as_json
from icltui.text.escape import visible
from icltui.text.tables import number, numbers, render, table, words
from icltui.values import AnswerConflict, JoinedContext, JoinedPatch


def joined_json(joined: JoinedPatch) -> str:
    """Every number."""
    return as_json(joined)


def joined_text(joined: JoinedPatch, width: int = 110) -> str:
    """What was written, what each context keeps and what it does to the others."""
    return render(_parts(joined), width)


def _parts(joined: JoinedPatch) -> Iterator[RenderableType]:
    contexts = joined.contexts
    written = "\n".join(f"  {visible(file)}" for file in joined.files)
    yield (
        f"one patch of {len(contexts)} contexts, solved together on {joined.n_tokens} tokens: rank {joined.rank}"
        + (f"\n{written}" if written else "")
    )
    yield "\n".join(map(_sentence, contexts))
    yield (
        "Median R of each context's own queries: 1 as with the context, 0 as without it. Alone: its own adapter; added "
        "up: the adapters as they are, side by side"
    )
    yield _recovery(contexts)
    yield "Each adapter on every context's queries: median R, and how far it moves them, in nats per token"
    yield _cross(contexts)
    yield (
        f"Unrelated text moves by {number(joined.collateral)} nats per token (adapters added up: "
        f"{number(joined.collateral_concatenated)}; alone: "
        f"{', '.join(f'{visible(one.name)} {number(one.collateral)}' for one in contexts)})"
    )
    if joined.conflicts:
        yield "\n".join(map(_conflict, joined.conflicts))
    if joined.left_out:
        yield f"left out: {visible('; '.join(joined.left_out))}"
    if joined.notes:
        yield "\n".join(f"note: {visible(note)}" for note in joined.notes)


def _sentence(context: JoinedContext) -> str:
    what = (
        f"{context.n_queries} unseen queries"
        if context.is_unseen
        else f"{context.n_queries} of its own queries, which every patch of the test was made without"
    )
    unchanged = f" ({context.n_unchanged} more do not depend on it)" if context.n_unchanged else ""
    return f"{visible(context.name)}: fitted on {context.n_fitted} queries, tested on {what}{unchanged}"


def _recovery(contexts: Sequence[JoinedContext]) -> RenderableType:
    return table(
        [words("context"), *numbers("queries", "alone", "joined", "added up")],
        (
            (
                visible(one.name),
                str(one.n_queries),
                *map(number, (one.r_alone, one.r_joined, one.r_concatenated)),
            )
            for one in contexts
        ),
    )


def _cross(contexts: Sequence[JoinedContext]) -> RenderableType:
    return table(
        [words("queries of"), *numbers(*(f"by {visible(one.name)}" for one in contexts))],
        (
            (
                visible(one.name),
                *(f"{number(r)} ({number(kl)})" for r, kl in zip(one.r_others, one.kl_others, strict=True)),
            )
            for one in contexts
        ),
    )


def _conflict(conflict: AnswerConflict) -> str:
    said = ", ".join(
        f"{visible(repr(answer))} in {visible(name)}"
        for name, answer in zip(conflict.contexts, conflict.answers, strict=True)
    )
    return f"conflict: {visible(repr(conflict.query))} is answered {said}: the joined patch is between them"
