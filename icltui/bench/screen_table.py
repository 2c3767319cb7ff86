"""The screen's results as text."""

from statistics import median

from icltui.bench.pseudo_terminal import SIZE
from icltui.bench.screen import KeyTimes, ScreenResults
from icltui.text.tables import number, numbers, render, table, words

MEGABYTE, KIBIBYTE = 10**6, 1024


def screen_table(figures: ScreenResults, width: int) -> str:
    """The results as text."""
    settings = figures.settings
    return render(
        [
            f"The screen on a pseudo-terminal of {SIZE[0]}×{SIZE[1]}, beside a bare Textual application of as many "
            f"widgets ({figures.n_widgets}); {settings.starts} starts each, in alternation.",
            table(
                [words("ms from exec to the first full paint"), *numbers("least", "median", "/ bare")],
                [
                    (name, number(min(times)), number(median(times)), f"{figures.ratio(name):.2f}")
                    for name, times in figures.paints.items()
                ],
            ),
            table(
                [
                    words("ms from key to paint while"),
                    words(""),
                    *numbers("keys", "median", "p99", "most", "lost"),
                ],
                _keys(figures),
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
                    for each in figures.traffic
                ],
            ),
            _process(figures),
            "Full paint: the picture, colours too, is what it then stays; its first line, which tells of the engine, "
            "is left aside. A key is painted with the first bytes that show its own effect in the picture.",
        ],
        width,
    )


def _keys(figures: ScreenResults) -> list[tuple[str, ...]]:
    rows = []
    for situation in dict.fromkeys(each.situation for each in figures.answers):
        of = [each for each in figures.answers if each.situation == situation]
        rows += [(situation, each.kind, *_times(each.milliseconds, each.n_unanswered)) for each in of]
        rows.append((situation, "all", *_times(_all(of), sum(each.n_unanswered for each in of))))
    return rows


def _all(answers: list[KeyTimes]) -> tuple[float, ...]:
    return tuple(time for each in answers for time in each.milliseconds)


def _times(times: tuple[float, ...], n_lost: int) -> tuple[str, ...]:
    if not times:
        return ("0", "·", "·", "·", str(n_lost))
    return (
        str(len(times)),
        *(number(t) for t in (median(times), percentile(times, 99), max(times))),
        str(n_lost),
    )


def percentile(values: tuple[float, ...], percent: float) -> float:
    """The smallest of ``values`` that ``percent`` of them do not exceed.

    >>> percentile((4.0, 1.0, 3.0, 2.0), 75)
    3.0
    """
    return next(v for at, v in enumerate(sorted(values), 1) if 100 * at >= percent * len(values))


def _process(figures: ScreenResults) -> str:
    settings = figures.settings
    peak = "unknown" if figures.peak is None else f"{figures.peak / MEGABYTE:.0f} MB"
    torch = {None: "unknown", True: "loaded", False: "never loaded"}[figures.has_torch]
    return (
        f"The process with {settings.units} units × {settings.layers} layers: {peak} at most; torch: {torch}."
    )
