"""The screen's results as text."""

from collections.abc import Iterator
from itertools import chain, groupby
from operator import attrgetter
from statistics import median

from icltui.bench.pseudo_terminal import SIZE
from icltui.bench.screen import KeyTimes, ScreenResults
from icltui.text.tables import number, numbers, render, table, words

MEGABYTE, KIBIBYTE = 10**6, 1024


def screen_table(results: ScreenResults, width: int) -> str:
    """The results as text."""
    settings = results.settings
    return render(
        [
            f"The screen on a pseudo-terminal of {SIZE[0]}×{SIZE[1]}, beside a bare Textual application of as many "
            f"widgets ({results.n_widgets}); {settings.starts} starts each, in alternation.",
            table(
                [words("ms from exec to the first full paint"), *numbers("least", "median", "/ bare")],
                [
                    (name, number(min(times)), number(median(times)), f"{results.ratio(name):.2f}")
                    for name, times in results.paints.items()
                ],
            ),
            table(
                [
                    words("ms from key to paint while"),
                    words(""),
                    *numbers("keys", "median", "p99", "most", "lost"),
                ],
                _key_rows(results),
            ),
            table(
                [
                    words("what a key costs, at rest"),
                    *numbers("CPU ms", "most", "the first", "bytes", "most"),
                ],
                [
                    (
                        each.kind,
                        *(number(ms) for ms in (median(each.milliseconds), max(each.milliseconds))),
                        number(each.milliseconds[0]),
                        *(str(round(n)) for n in (median(each.n_bytes), max(each.n_bytes))),
                    )
                    for each in results.costs
                ],
            ),
            table(
                [words("to the terminal, tab"), *numbers("KiB/unit", "KiB/update", "updates/unit")],
                [
                    (
                        each.tab,
                        f"{each.n_bytes / KIBIBYTE / each.n_units:.2f}",
                        f"{each.n_bytes / KIBIBYTE / max(each.n_updates, 1):.2f}",
                        f"{each.n_updates / each.n_units:.2f}",
                    )
                    for each in results.traffic
                ],
            ),
            _process(results),
            "Full paint: the picture, colours too, is what it then stays; its first line, which tells of the engine, "
            "is left aside. A key is painted with the first bytes that show its own effect in the picture.",
        ],
        width,
    )


def _key_rows(results: ScreenResults) -> Iterator[tuple[str, ...]]:
    for situation, group in groupby(results.key_times, key=attrgetter("situation")):
        of = list(group)
        times = tuple(chain.from_iterable(each.milliseconds for each in of))
        for each in (*of, KeyTimes(situation, "all", times, sum(each.n_unanswered for each in of))):
            yield situation, each.kind, *_statistics(each.milliseconds), str(each.n_unanswered)


def _statistics(times: tuple[float, ...]) -> tuple[str, ...]:
    found = (median(times), percentile(times, 99), max(times)) if times else (None, None, None)
    return (str(len(times)), *map(number, found))


def percentile(values: tuple[float, ...], percent: float) -> float:
    """The smallest of ``values`` that ``percent`` of them do not exceed.

    >>> percentile((4.0, 1.0, 3.0, 2.0), 75)
    3.0
    """
    return next(v for at, v in enumerate(sorted(values), 1) if 100 * at >= percent * len(values))


def _process(results: ScreenResults) -> str:
    settings = results.settings
    peak = "unknown" if results.peak is None else f"{results.peak / MEGABYTE:.0f} MB"
    torch = {None: "unknown", True: "loaded", False: "never loaded"}[results.has_torch]
    return (
        f"The process with {settings.units} units × {settings.layers} layers: {peak} at most; torch: {torch}."
    )
