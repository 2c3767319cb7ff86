"""The files that an experiment's folder has beside its rows: summary.json, summary.md, rows.csv and the figures.

Each is written whole or not at all, in place of an older one.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from icltui.report.experiment_figure import experiment_figure
from icltui.report.experiment_summary import figure_stems, summary_json, summary_markdown
from icltui.report.figure_style import FORMATS
from icltui.storage.atomic import write_file
from icltui.text.spreadsheet import Cell, write_csv
from icltui.values.errors import BadInput
from icltui.values.results import Summary


def write_summary(folder: Path, summary: Summary, rows: Sequence[Mapping[str, object]]) -> str | None:
    """Write all of them into ``folder``; a line that says why there are no figures, where Matplotlib is missing.

    Raises:
        BadInput: a file cannot be written.
    """
    texts = {
        "summary.json": summary_json(summary),
        "summary.md": summary_markdown(summary),
        "rows.csv": rows_csv(rows),
    }
    for name, text in texts.items():
        write_file(folder / name, text.encode(), may_replace=True)
    try:
        drawn = list(_figures(summary))
    except BadInput as error:  # the numbers are there all the same
        return str(error)
    for name, data in drawn:
        write_file(folder / "figures" / name, data, may_replace=True)
    return None


def _figures(summary: Summary) -> Iterator[tuple[str, bytes]]:
    for stem, figure in zip(figure_stems(summary), summary.figures, strict=True):
        for kind in FORMATS:
            yield f"{stem}.{kind}", experiment_figure(figure, kind)


def rows_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """A line for each row, a column for each field of any of them; several values in one field as a JSON array.

    :func:`icltui.text.spreadsheet.read_csv` reads it.
    """
    fields = list(dict.fromkeys(field for row in rows for field in row))
    lines: list[list[Cell]] = [list(fields)]
    lines.extend([_cell(row.get(field)) for field in fields] for row in rows)
    return write_csv(lines)


def _cell(value: object) -> Cell:
    match value:
        case bool():
            return "true" if value else "false"
        case None | int() | float() | str():
            return value
        case _:
            return json.dumps(value, ensure_ascii=False, default=list)
