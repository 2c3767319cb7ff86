"""The folder of an experiment's rows: it belongs to one kind, version and question."""

from pathlib import Path
from typing import Any

from icltui import __version__
from icltui.experiment.experiment import Experiment
from icltui.storage.rows_folder import claim_folder
from icltui.values.sweep import RowsFolder


def claim(folder: Path, experiment: Experiment[Any, Any]) -> None:
    """Make the folder the experiment's, or find that it is; every process does so before its first row.

    Raises:
        BadInput: it holds other rows or other files, or cannot be written; nothing in it is changed then.
    """
    record = RowsFolder(
        kind=experiment.kind,
        version=__version__,
        columns=experiment.row_type.__struct_fields__,
        asked=dict(experiment.asked()),
    )
    claim_folder(folder, record)
