"""The time from start to result as text."""

from collections.abc import Iterator

from icltui.bench.start import StartResults
from icltui.bench.start_parts import Part
from icltui.text.tables import number, numbers, render, table, words


def start_table(results: StartResults, width: int) -> str:
    """The results as text."""
    settings = results.settings
    named = " ".join(filter(None, (settings.model or "the embedded model", settings.dtype)))
    return render(
        [
            f"icltui measure on {named}, each time in a new process; medians of {settings.repeat} in turns.",
            table(
                [words("part"), *numbers("CPU s", "clock s", "passes")],
                _rows(results),
            ),
            f"The command takes {results.whole.cpu / results.torch.cpu:.2f} times the CPU time of importing torch, "
            f"{results.whole.clock / results.torch.clock:.2f} times by the clock. Of the files of weights "
            f"{results.n_times_taken:.2f} times their bytes are taken out, as copies or as maps.",
        ],
        width,
    )


def _rows(results: StartResults) -> Iterator[tuple[str, ...]]:
    alone = {"importing torch alone": results.torch, "icltui measure": results.whole}
    for name, part in {**alone, **{f"  {part.name}": part for part in results.parts}}.items():
        yield name, *_numbers(part)


def _numbers(part: Part) -> tuple[str, ...]:
    return number(part.cpu), number(part.clock), str(part.n_passes or "·")
