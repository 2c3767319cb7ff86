"""Rows that a folder had already go to the log once, however many shares a sweep is run in."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import asdict

from icltui.experiment.logged_rows import LoggedRows
from icltui.experiment.run import RowsInMemory, Shard
from icltui.storage.database.entries import LogEntry
from icltui.storage.database.log_queue import LogQueue
from icltui.storage.database.spool import Spool
from icltui.values.errors import BadInput
from icltui.values.sweep import SweepRow


def row(number: int) -> SweepRow:
    return SweepRow(key=f"{number:015x}", layers_used=(0,))


class Taking(LogQueue):
    """A queue that keeps its entries."""

    def __init__(self, folder: Path) -> None:
        super().__init__("sqlite:///log.sqlite", Spool(folder / "a.sqlite"), lambda *_: None)
        self.entries: list[LogEntry] = []

    def put(self, make: Any) -> None:
        self.entries += make()


@pytest.mark.parametrize("n_shares", [1, 3])
def test_the_rows_of_a_folder_are_sent_once_by_all_shares_together(tmp_path: Path, n_shares: int) -> None:
    queue, rows = Taking(tmp_path), [row(n) for n in range(30)]
    for share in range(1, n_shares + 1):
        logged = LoggedRows(RowsInMemory(), queue, "reset")
        mine = [one for one in rows[:9] if Shard(share, n_shares).holds(one.key)]
        logged.append(mine)  # which this share computes itself
        logged.flush()
        logged.log_others(map(asdict, rows), Shard(share, n_shares))
    assert sorted(entry.session.session_id for entry in queue.entries) == [one.key for one in rows]


def test_a_damaged_row_of_the_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    logged = LoggedRows(RowsInMemory(), Taking(tmp_path), "reset")
    with pytest.raises(BadInput, match=r"a damaged row .*: run its sweep again, into a new folder"):
        logged.log_others([{**asdict(row(1)), "layers_used": [10**9]}], Shard())
