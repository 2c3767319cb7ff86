"""An experiment that is stopped, killed, shared and gone on with: its rows are those of one quiet run."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from icltui.api.messages import LoadModel
from icltui.experiment.run import RowsInMemory, Shard, run_experiment, work_units
from icltui.storage.row_store import RowStore, read_rows, row_files
from icltui.values.errors import ModelError
from tests.experiment.counting import MISSING, SquareRow, Squares, claimed
from tests.waiting import PATIENCE

WORK = """
import sys
from pathlib import Path
from icltui.experiment import run
from icltui.storage.row_store import RowStore
from tests.experiment.counting import SquareRow, Squares, claimed
run._SHORTEST_WAIT = 0.02
squares, shard = Squares({n}, seconds_each=0.002), run.Shard(*map(int, sys.argv[2:]))
run.run_experiment(squares, RowStore(claimed(Path(sys.argv[1]), squares), SquareRow), shard=shard)
"""
N = 200


def start(folder: Path, shard=(1, 1)) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-c", WORK.format(n=N), str(folder), *map(str, shard)]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def rows_of(folder):
    return read_rows(folder).drop(["seconds"]).to_pylist()


def quiet(n=N, **how):
    store = RowsInMemory()
    run_experiment(Squares(n, **how), store)
    rows = sorted(store, key=lambda row: row.key)
    return [
        {name: getattr(row, name) for name in SquareRow.__struct_fields__ if name != "seconds"}
        for row in rows
    ]


def plain(rows):
    return [{name: list(v) if isinstance(v, tuple) else v for name, v in row.items()} for row in rows]


@pytest.mark.soak
def test_killed_at_random_moments_it_leaves_the_rows_of_one_quiet_run(tmp_path):
    chance = random.Random(14)
    folder, kills = tmp_path / "out", 0
    while kills < 3:
        n_before = len(row_files(folder))
        process = start(folder)
        end = time.monotonic() + PATIENCE
        while len(row_files(folder)) < n_before + 1 + chance.randrange(3) and process.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
    assert 0 < len(read_rows(folder)) <= N
    last = start(folder)
    assert last.communicate()[1] == b""
    assert rows_of(folder) == plain(quiet())


@pytest.mark.soak
def test_two_shards_at_once_are_one_run(tmp_path):
    folder = tmp_path / "out"
    workers = [start(folder, (index, 2)) for index in (1, 2)]
    assert [worker.communicate(timeout=PATIENCE)[1] for worker in workers] == [b"", b""]
    writers = {path.name.partition("-")[0] for path in row_files(folder)}
    assert len(writers) == 2
    assert rows_of(folder) == plain(quiet())


@pytest.mark.soak
def test_two_workers_of_the_same_share_are_one_run(tmp_path):
    folder = tmp_path / "out"
    workers = [start(folder) for _ in range(2)]
    assert [worker.communicate(timeout=PATIENCE)[1] for worker in workers] == [b"", b""]
    assert rows_of(folder) == plain(quiet())


def test_what_is_kept_is_not_run_again(tmp_path):
    folder = claimed(tmp_path / "out", Squares(12))
    run_experiment(Squares(12), RowStore(folder, SquareRow))
    before = row_files(folder)
    again = run_experiment(Squares(12), RowStore(folder, SquareRow))
    assert (again.done, again.total, again.fresh) == (12, 12, 0)
    assert row_files(folder) == before


def test_a_batch_that_is_partly_kept_runs_whole_and_adds_only_what_is_missing():
    store = RowsInMemory()
    run_experiment(Squares(12), store)
    whole = list(store)
    del store[2:9]
    progress = run_experiment(Squares(12), store)
    assert progress.fresh == 7
    key = {row.key: row for row in whole}
    assert len(store) == 12
    assert all(row.batch_of == key[row.key].batch_of for row in store)


def test_a_failed_item_is_a_row_and_runs_again_only_when_asked():
    store = RowsInMemory()
    progress = run_experiment(Squares(6, broken=(2, 4)), store)
    assert (progress.failed, len(store)) == (2, 6)
    assert run_experiment(Squares(6), store).fresh == 0
    assert run_experiment(Squares(6), store, retry=True).fresh == 2
    assert store.keys(failed=False) == store.keys()


def test_an_interruption_keeps_what_there_is(tmp_path):
    folder = claimed(tmp_path / "out", Squares(12))

    def stop(progress):
        if progress.fresh == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_experiment(Squares(12), RowStore(folder, SquareRow), on_progress=stop)
    assert len(read_rows(folder)) == 7
    run_experiment(Squares(12), RowStore(folder, SquareRow))
    assert rows_of(folder) == plain(quiet(12))


def test_a_model_that_cannot_be_loaded_keeps_no_other_from_running():
    store = RowsInMemory()
    with pytest.raises(ModelError):
        run_experiment(Squares(4, models_asked=(MISSING, LoadModel())), store)
    assert len(store) == 4


def test_shards_divide_all_items_and_tear_no_batch():
    rows = quiet(100)
    stores = [RowsInMemory() for _ in range(3)]
    for index, store in enumerate(stores, 1):
        run_experiment(Squares(100), store, shard=Shard(index, 3))
    batches = [{row.batch_of for row in store} for store in stores]
    assert all(batches)
    assert not batches[0] & batches[1]
    assert sorted(row.key for store in stores for row in store) == [row["key"] for row in rows]


def test_progress_counts_and_says_what_is_left():
    told = []
    run_experiment(Squares(10), RowsInMemory(), on_progress=told.append)
    assert [one.done for one in told] == list(range(11))
    assert {one.total for one in told} == {10}
    assert told[0].rate is told[0].seconds_left is None
    assert told[-1].seconds_left == 0


def test_items_of_one_key_are_one():
    assert [unit.items for unit in work_units([("a", 1), ("b", 2), ("a", 3)])] == [[("a", 1)], [("b", 2)]]
