"""Kinds of patches side by side, as a table for people."""

from collections.abc import Iterable, Iterator

from icltui.text.escape import visible
from icltui.text.tables import number, numbers, render, table, words
from icltui.values import Agreement, Generation

_LEGEND = (
    "equal: tokens as with the context, of all that either text has; first other: the first that is not. KL in nats, "
    "mean over the tokens that the patch was made from, and over up to 8 later ones (dots: the text ends before), with "
    "the patch and without it; top: at how many of these the most probable token is the contextual one."
)


def patches_table(results: Iterable[tuple[str, str, Generation]], width: int) -> str:
    """A line for each prompt and patch, and one for the prompt without any."""
    columns = [words("prompt"), words("patch")]
    columns += numbers("equal", "first other", "KL fitted", "KL later", "without", "top later", "without")
    return render([table(columns, _rows(results)), _LEGEND], width)


def _rows(results: Iterable[tuple[str, str, Generation]]) -> Iterator[tuple[str, ...]]:
    seen: set[str] = set()
    for name, title, made in ((visible(name), visible(title), made) for name, title, made in results):
        if name not in seen:
            seen.add(name)
            yield (name, "none", *_said(made.agreement["plain"]), *("·",) * 5)
        yield (name, title, *_said(made.agreement["patched"]), *_tested(made))


def _said(agreement: Agreement) -> tuple[str, str]:
    first = agreement.first_difference
    return f"{agreement.equal}/{agreement.total}", "none" if first is None else str(first + 1)


def _tested(generation: Generation) -> tuple[str, ...]:
    tests = {test.what: test for test in generation.patch.tests} if generation.patch else {}
    fitted, later = tests.get("fitted tokens"), tests.get("later tokens")
    if later is None:
        return (number(fitted.kl if fitted else None), *("·",) * 4)
    return (
        number(fitted.kl if fitted else None),
        number(later.kl),
        number(later.kl_plain),
        f"{later.equal}/{later.n_tokens}",
        f"{later.equal_plain}/{later.n_tokens}",
    )
