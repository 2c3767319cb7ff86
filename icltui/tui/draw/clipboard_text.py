"""What the panes hold as plain text: tab-separated tables with the names that the JSON uses, and passages.

Boards and lanes enter, text leaves. Numbers are whole; no text of a token is passed on as it is.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from icltui.report.measures import MEASURES, PREDICTIONS, prediction_cells
from icltui.text.escape import token_text, visible
from icltui.text.spreadsheet import Cell, write_tsv
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.values import LaneStep


def stream_copy(measured: MeasuredUnits, layer: int) -> str:
    """Every unit at one layer: each measure, and what follows the query."""
    names = [name for name, measure in MEASURES.items() if measure.is_defined(measured.dynamics)]
    return _units(
        measured,
        ("layer", *names, "token", *PREDICTIONS),
        lambda unit: (
            layer,
            *(measured.value(name, unit, layer) for name in names),
            *prediction_cells(measured.prediction(unit)),
        ),
    )


def measure_copy(measured: MeasuredUnits, measure: str, layers: Sequence[int]) -> str:
    """One measure: a line for each unit, a column for each of ``layers``."""
    return cells_copy(measured, measure, layers, lambda unit, layer: measured.value(measure, unit, layer))


def cells_copy(
    measured: MeasuredUnits,
    name: str,
    layers: Sequence[int],
    value: Callable[[int, int], float | None],
) -> str:
    """Any number of units at layers: a line for each unit, a column for each of ``layers``."""
    return _units(
        measured,
        [f"{name}_layer_{layer}" for layer in layers],
        lambda unit: [value(unit, layer) for layer in layers],
    )


def layers_copy(
    measured: MeasuredUnits,
    measure: str,
    unit: int,
    ticked: Mapping[int, bool],
    errors: Mapping[int, float | None],
    refused: Mapping[int, str],
) -> str:
    """Every layer: whether it is ticked, its number at one unit, its block error, why it is refused."""
    return _tsv(
        ("layer", "ticked", f"{measure}_unit_{unit}", "block_error", "refused"),
        (
            (
                layer,
                "yes" if is_ticked else "no",
                measured.value(measure, unit, layer),
                errors.get(layer),
                visible(refused[layer]) if layer in refused else None,
            )
            for layer, is_ticked in ticked.items()
        ),
    )


def lane_copy(title: str, steps: Sequence[LaneStep]) -> str:
    """A lane's text under its title, and a line for each candidate after the query."""
    if not steps:
        return title + "\n"
    text = "\n".join(map(visible, steps[-1].text.split("\n")))
    candidates = ((token_text(each.token.text), each.probability) for each in steps[0].top)
    return f"{title}\n\n{text}\n\n{_tsv(('token', 'probability'), candidates)}"


def _units(measured: MeasuredUnits, head: Iterable[Cell], cells: Callable[[int], Iterable[Cell]]) -> str:
    units = range(measured.last_unit + 1)
    return _tsv(
        ("unit", "text", *head),
        ((unit, token_text(measured.unit_text(unit)), *cells(unit)) for unit in units),
    )


def _tsv(head: Iterable[Cell], rows: Iterable[Iterable[Cell]]) -> str:
    """Tabs between cells: none holds a tab or a line end, since texts are visible ones."""
    return write_tsv((head, *rows))
