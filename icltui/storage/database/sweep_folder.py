"""The rows of a sweep's folder as entries of the log."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec

from icltui.storage.database.entries import LogEntry, sweep_entry
from icltui.storage.paths import shown
from icltui.storage.row_store import read_rows
from icltui.storage.rows_folder import read_record
from icltui.text.escape import visible
from icltui.values.errors import BadInput
from icltui.values.prompt import Positions
from icltui.values.sweep import RowsFolder, SweepRow


def folder_entries(folder: Path) -> Iterator[LogEntry | None]:
    """The entry of each row, in the order of their keys; None for a row without a result.

    Raises:
        BadInput: it is no folder of rows, its rows are a study's, pyarrow is missing, or a row is damaged.
    """
    record = read_record(folder)
    if record.kind != "sweep":
        raise BadInput(
            f"{shown(folder)} holds rows of the study {visible(record.kind)[:40]}, which no table of the log has "
            "columns for: name a sweep's folder or a session"
        )
    positions = _positions(record)
    for batch in read_rows(folder).to_batches():
        for values in batch.to_pylist():
            try:
                row = sweep_row(values)
            except BadInput as error:
                raise BadInput(f"{shown(folder)} holds {error}") from error
            yield sweep_entry(row, positions)


def sweep_row(values: Mapping[str, Any]) -> SweepRow:
    """The row of plain values; what an older sweep lacks takes its default.

    Raises:
        BadInput: it is damaged.
    """
    known = {name: value for name, value in values.items() if value is not None}
    try:
        return msgspec.convert(known, SweepRow)
    except msgspec.ValidationError as error:
        raise BadInput(
            f"a damaged row ({visible(str(error))[:120]}): run its sweep again, into a new folder"
        ) from error


def _positions(record: RowsFolder) -> Positions | None:
    reading = record.asked.get("reading")
    positions = reading.get("positions") if isinstance(reading, dict) else None
    return positions if positions in get_args(Positions) else None
