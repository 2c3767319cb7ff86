"""The rows of a sweep's folder as entries of the log."""

from collections.abc import Iterator
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
            yield sweep_entry(_row(folder, values), positions)


def _row(folder: Path, values: dict[str, Any]) -> SweepRow:
    # What an older sweep lacks takes its default.
    known = {name: value for name, value in values.items() if value is not None}
    try:
        return msgspec.convert(known, SweepRow)
    except msgspec.ValidationError as error:
        raise BadInput(
            f"{shown(folder)} holds a damaged row ({visible(str(error))[:120]}): run its sweep again, into a new folder"
        ) from error


def _positions(record: RowsFolder) -> Positions | None:
    reading = record.asked.get("reading")
    positions = reading.get("positions") if isinstance(reading, dict) else None
    return positions if positions in get_args(Positions) else None
