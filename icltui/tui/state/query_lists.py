"""The queries that a patch is fitted on and those that it is tested on, as texts with a query on each line, and back.

Two texts enter, two lists leave; and one line that says which of the typed lines are in neither.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from icltui.storage.query_file import MOST_QUERIES
from icltui.values.errors import BadInput


@dataclass(frozen=True)
class QueryLists:
    """Queries after one context."""

    fitted: tuple[str, ...]
    """The queries that a patch is compiled on."""
    held_out: tuple[str, ...]
    """The queries that it is tested on; none of them is fitted."""


@dataclass(frozen=True)
class ReadQueries:
    """What two texts hold."""

    lists: QueryLists
    left_out: str
    """The lines that are in neither list, in a few words; empty where all are."""


def text_of(queries: Iterable[str]) -> str:
    """The queries, each on a line."""
    return "\n".join(queries)


def read_lists(fitted: str, held_out: str) -> ReadQueries:
    """The queries in two texts: each line that is not blank, once; no query is both fitted and held out.

    Raises:
        BadInput: more queries in a list than can be run.
    """
    ours, theirs = _lines(fitted), _lines(held_out)
    fits = tuple(dict.fromkeys(filter(str.strip, ours)))
    tests = tuple(query for query in dict.fromkeys(filter(str.strip, theirs)) if query not in {*fits})
    for name, queries in (("calibration", fits), ("held-out", tests)):
        if len(queries) > MOST_QUERIES:
            raise BadInput(
                f"{len(queries):,} {name} queries: at most {MOST_QUERIES:,} can be run: delete some"
            )
    both = len({*filter(str.strip, theirs)} & {*fits})
    n_blank = sum(not line.strip() for line in (*ours, *theirs))
    counts = {
        "blank": n_blank,
        "said before": sum(n - 1 for lines in (ours, theirs) for n in _times(lines)),
        "held out but fitted too, so no evidence": both,
    }
    words = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    return ReadQueries(QueryLists(fits, tests), f"left out: {words}" if words else "")


def count_words(n_queries: int) -> str:
    """``12 queries``."""
    return "1 query" if n_queries == 1 else f"{n_queries:,} queries"


def _lines(text: str) -> list[str]:
    """The lines without the empty ones at the end, where the next query is typed."""
    whole = text.rstrip("\r\n")
    return [line.removesuffix("\r") for line in whole.split("\n")] if whole else []


def _times(lines: Iterable[str]) -> Iterable[int]:
    return Counter(filter(str.strip, lines)).values()
