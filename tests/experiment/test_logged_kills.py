"""A sweep in two shards that log to one database, killed at random moments: the database holds what a quiet run has."""

import random
import sqlite3
from pathlib import Path

import pytest

from icltui.storage.row_store import read_rows
from tests.experiment.test_kills import finish, n_kept, sweep, until, write_prompts

N_ROWS = 400


def logged(path: Path) -> list[tuple[str, int, float]]:
    """The numbers in the database."""
    file = sqlite3.connect(path)
    try:
        query = (
            "SELECT session_id, layer_idx, delta_norm FROM icl_dynamics_log ORDER BY session_id, layer_idx"
        )
        return file.execute(query).fetchall()
    finally:
        file.close()


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_the_log_after_kills_is_that_of_a_quiet_run(tmp_path, monkeypatch, pytestconfig, count):
    pytest.importorskip("sqlalchemy")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    draw, n_kills = random.Random(0), max(4, pytestconfig.getoption("kills"))
    write_prompts(prompts := tmp_path / "prompts.jsonl", N_ROWS)
    folder, log = tmp_path / "killed", ("--log", f"sqlite:///{tmp_path}/log.sqlite")
    n_killed = 0
    for moment in sorted(draw.randrange(N_ROWS * 9 // 10) for _ in range(n_kills)):
        running = [sweep(prompts, folder, "--shard", shard, *log) for shard in ("1/2", "2/2")]
        until(lambda: n_kept(folder) >= moment or all(p.poll() is not None for p in running))  # noqa: B023
        for process in running:
            n_killed += process.poll() is None
            process.kill()
            process.communicate()
    for shard in ("1/2", "2/2"):
        finish(sweep(prompts, folder, "--shard", shard, *log))
    expected = [
        (row["key"], layer, delta)
        for row in read_rows(folder).to_pylist()
        for layer, delta in zip(row["layers_used"], row["delta_norms"], strict=True)
    ]
    assert len(expected) == 6 * N_ROWS
    assert logged(tmp_path / "log.sqlite") == expected
    assert n_killed >= n_kills
    count(f"{n_killed} kills, {len(expected):,} rows of the log as in the folder")
