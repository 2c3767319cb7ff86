"""A sweep whose processes and Ray actors are killed at random moments has the rows of one that nobody disturbs.

``pytest -n 0 -m soak tests/experiment/test_kills.py --kills 20`` is ten thousand rows and twenty kills.
"""

import itertools
import json
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from icltui.storage.row_store import read_rows, row_files
from icltui.system.child_environment import own_command

ROOT = Path(__file__).parents[2]
ROWS_PER_KILL = 500
SMALL = {"object_store_memory": 80 * 2**20}
WORDS = (
    "cat dog cow lion fox frog horse rabbit oak pine rose lily ivy pear egg rice cake moss onion plum".split()
)
COLOURS = "red blue green yellow orange white black brown".split()


def write_prompts(path: Path, n: int) -> None:
    """As many prompts, each with another text."""
    several = itertools.product(WORDS, COLOURS, WORDS, COLOURS)
    prompts = (
        {
            "context": f"The {a} is {c}. The {b} is {d}.",
            "query": f"The {a} is",
            "answer": f" {c}",
            "tags": [c],
        }
        for a, c, b, d in several
        if a != b
    )
    path.write_text("".join(json.dumps(prompt) + "\n" for prompt in itertools.islice(prompts, n)))


def sweep(prompts: Path, folder: Path, *words: str, **variables: str) -> subprocess.Popen[bytes]:
    """A sweep in a process of its own."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **variables}
    command = own_command("sweep", str(prompts), "--out", str(folder), *words)
    return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for it to end well."""
    _, said = process.communicate()
    assert process.returncode == 0, said.decode()[-2000:]


def n_kept(folder: Path) -> int:
    """Rows on the disk, those that are there twice included."""
    from pyarrow import parquet

    return sum(parquet.read_metadata(path).num_rows for path in row_files(folder))


def until(is_so: Callable[[], bool]) -> None:
    """Wait for it."""
    end = time.monotonic() + 3600
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def kill_shards(prompts: Path, folder: Path, moments: list[int], draw: random.Random) -> int:
    """Two shards at once; at each of the moments, a number of rows, one of them is killed and started again."""
    shards = ["1/2", "2/2"]
    running = [sweep(prompts, folder, "--shard", shard) for shard in shards]
    killed = 0
    for moment in moments:
        until(lambda: n_kept(folder) >= moment or all(p.poll() is not None for p in running))  # noqa: B023
        time.sleep(draw.random())  # not only right after rows were written
        at = draw.randrange(2)
        if running[at].poll() is None:
            running[at].kill()
            running[at].communicate()
            killed += 1
        running[at] = sweep(prompts, folder, "--shard", shards[at])
    for process in running:
        process.kill()
        process.communicate()
    return killed + len(running)


@contextmanager
def cluster_of(n: int) -> Iterator[str]:
    """The address of a cluster of so many nodes of one CPU."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **SMALL}
    )
    for _ in range(n):
        cluster.add_node(num_cpus=1, **SMALL)
    try:
        yield str(cluster.address)
    finally:
        cluster.shutdown()


def actors() -> list[psutil.Process]:
    """The processes with an actor of ours."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            found += [child] if "ExperimentActor" in " ".join(child.cmdline()) else []
        except psutil.Error:
            continue
    return found


def kill_actors(prompts: Path, folder: Path, moments: list[int], draw: random.Random) -> int:
    """Ray on two nodes; at each of the moments one of its actors is killed. Runs to the end."""
    killed = 0
    with cluster_of(2) as address:
        driver = sweep(prompts, folder, "--on", "ray", RAY_ADDRESS=address)
        for moment in moments:
            until(lambda: driver.poll() is not None or (n_kept(folder) >= moment and bool(actors())))  # noqa: B023
            time.sleep(draw.random())
            if found := actors():
                draw.choice(found).kill()
                killed += 1
        finish(driver)
    return killed


def killed_run(prompts: Path, folder: Path, n_rows: int, n_kills: int, seed: int = 0) -> int:
    """A sweep that is killed so many times, half of them as shards and half on Ray; how many it were."""
    draw = random.Random(seed)
    n_shards = n_kills // 2
    early = sorted(draw.randrange(n_rows // 2) for _ in range(n_shards - 2))
    late = sorted(draw.randrange(n_rows // 2, n_rows * 9 // 10) for _ in range(n_kills - n_shards))
    n_killed = kill_shards(prompts, folder, early, draw)
    return n_killed + kill_actors(prompts, folder, late, draw)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_rows_after_kills_are_those_of_a_quiet_run(tmp_path, monkeypatch, pytestconfig, count):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    n_kills = max(4, pytestconfig.getoption("kills"))
    n_rows = ROWS_PER_KILL * n_kills
    write_prompts(prompts := tmp_path / "prompts.jsonl", n_rows)
    finish(sweep(prompts, tmp_path / "quiet"))
    n_killed = killed_run(prompts, tmp_path / "killed", n_rows, n_kills)
    quiet, killed = (read_rows(tmp_path / name).drop_columns(["seconds"]) for name in ("quiet", "killed"))
    assert quiet.num_rows == n_rows
    assert killed.equals(quiet)
    assert n_killed >= n_kills - 1
    count(f"{n_killed} kills, {n_rows:,} rows equal in all {quiet.num_columns} columns but seconds")
