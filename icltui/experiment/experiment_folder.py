"""The folder of an experiment's rows: it belongs to one kind, version and question."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from icltui import __version__
from icltui.api.messages import LoadModel
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


def models_asked(loads: Iterable[LoadModel]) -> list[dict[str, object]]:
    """The models in plain JSON, whatever device each process loads them on."""
    places = ("device", "device_map")
    plain = (msgspec.to_builtins(load) for load in loads)
    return [{name: value for name, value in load.items() if name not in places} for load in plain]
