"""An experiment on a simulated cluster of Ray: actors and nodes die, and the rows are those of a quiet run."""

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from icltui.experiment import ray_chunks
from icltui.experiment.ray_actors import run_on_ray
from icltui.experiment.ray_cluster import _QUIET, LOG, connected
from icltui.experiment.run import RunProgress, Shard, run_experiment
from icltui.storage.row_store import RowStore, read_rows
from icltui.values.errors import BadInput, ModelError
from tests.experiment.counting import MISSING, Squares, claimed

SMALL = {"object_store_memory": 80 * 2**20}


def test_without_ray_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with (
        pytest.raises(BadInput, match=r"--on ray needs Ray.*pip install 'icltui\[ray\]'"),
        connected(tmp_path, None),
    ):
        pass


def test_chunks_hold_every_unit_once_and_none_is_torn():
    units = {str(at): [f"{at}-{n}" for n in range(at % 4 + 1)] for at in range(30)}
    for n_items in (0, 1, 3, 7, 1000):
        chunks = list(ray_chunks.chunks_of(units, n_items))
        assert [key for chunk in chunks for key in chunk] == list(units)
        sizes = [sum(len(units[key]) for key in chunk) for chunk in chunks]
        assert all(size >= n_items for size in sizes[:-1])
    assert list(ray_chunks.chunks_of({}, 3)) == []


class Nodes:
    """A cluster on this machine: a head that works nothing, and nodes of one CPU."""

    def __init__(self, n: int, **of_head: object) -> None:
        from ray.cluster_utils import Cluster

        args = {"num_cpus": 0, "include_dashboard": False, **SMALL, **of_head}
        self.cluster = Cluster(initialize_head=True, head_node_args=args)
        self.nodes: list[Any] = []
        for _ in range(n):
            self.add()

    def add(self) -> None:
        self.nodes.append(self.cluster.add_node(num_cpus=1, **SMALL))

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def actors(self) -> list[psutil.Process]:
        """The processes that hold an actor of ours."""
        ours = psutil.Process().children(recursive=True)
        return [child for child in ours if "ExperimentActor" in " ".join(_command(child))]

    def remove(self) -> None:
        self.cluster.remove_node(self.nodes.pop())

    def close(self) -> None:
        self.cluster.shutdown()


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Nodes]]:
    """Starts a cluster whose actors can import the tests."""
    pytest.importorskip("ray")
    for name in ("PYTHONSAFEPATH", *_QUIET):
        monkeypatch.setenv(name, _QUIET.get(name, "1"))  # so that it is put back
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=os.pathsep)
    monkeypatch.setattr(ray_chunks, "PATIENCE", 3.0)
    logging.getLogger("ray").setLevel(logging.ERROR)
    started: list[Nodes] = []

    def start(n: int, **of_head: object) -> Nodes:
        started.append(Nodes(n, **of_head))
        return started[-1]

    yield start
    for one in started:
        one.close()


def table(folder: Path) -> list[dict[str, Any]]:
    """The rows without the time they took."""
    return read_rows(folder).drop_columns(["seconds"]).to_pylist()  # type: ignore[no-any-return]


def quiet(folder: Path, experiment: Squares) -> list[dict[str, Any]]:
    """The rows of a run in this process."""
    run_experiment(experiment, RowStore(claimed(folder, experiment), experiment.row_type))
    return table(folder)


@pytest.mark.soak
def test_actors_and_nodes_die_and_the_rows_are_the_same(nodes, tmp_path, capfd, count):
    experiment = Squares(n=150, seconds_each=0.05, broken=(7,), deadly=str(tmp_path))
    cluster = nodes(3)
    killed = removed = 0

    def disturb(progress: RunProgress) -> None:
        """An actor, then a node, at different times."""
        nonlocal killed, removed
        if progress.done > 30 and not killed and (found := cluster.actors()):
            found[0].kill()
            killed += 1
        if progress.done > 60 and not removed:
            threading.Thread(target=cluster.remove).start()
            removed += 1

    folder = claimed(tmp_path / "rows", experiment)
    progress = run_on_ray(experiment, folder, cluster.address, on_progress=disturb)
    assert (killed, removed) == (1, 1)
    assert (tmp_path / "died").exists()
    assert (progress.done, progress.total, progress.failed) == (150, 150, 1)
    assert table(folder) == quiet(tmp_path / "quiet", Squares(n=150, broken=(7,)))
    out, _ = capfd.readouterr()
    assert "raylet" not in out
    assert "retried" in (folder / LOG).read_text()
    count(f"{killed + removed + 1} deaths of actors and nodes, {len(table(folder))} rows as without")


@pytest.mark.soak
def test_a_run_that_is_stopped_goes_on_by_itself_or_in_shards(nodes, tmp_path):
    experiment, cluster = Squares(n=60, seconds_each=0.01), nodes(2)
    folder = claimed(tmp_path / "rows", experiment)

    def stop(progress: RunProgress) -> None:
        if progress.fresh > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_on_ray(experiment, folder, cluster.address, on_progress=stop)
    n_first = len(table(folder))
    assert 10 < n_first < 60
    seen: list[RunProgress] = []
    for index in (1, 2):
        run_on_ray(experiment, folder, cluster.address, shard=Shard(index, 2), on_progress=seen.append)
    assert sum(p.fresh for p in (seen[-1],)) <= 60 - n_first
    assert table(folder) == quiet(tmp_path / "quiet", experiment)


@pytest.mark.soak
def test_what_is_wrong_is_one_line_and_the_rest_runs(nodes, tmp_path):
    cluster = nodes(1)
    experiment = Squares(n=10, models_asked=(MISSING, *Squares(n=1).models()))
    folder = claimed(tmp_path / "rows", experiment)
    with pytest.raises(ModelError, match="/no/such/model") as caught:
        run_on_ray(experiment, folder, cluster.address)
    assert "\n" not in str(caught.value)
    assert len(table(folder)) == 10


@pytest.mark.soak
def test_a_cluster_that_is_not_there_is_one_line(tmp_path):
    pytest.importorskip("ray")
    experiment = Squares(n=3)
    with pytest.raises(BadInput, match=r"cannot reach the cluster at ray://127\.0\.0\.1:1: ") as caught:
        run_on_ray(experiment, claimed(tmp_path / "rows", experiment), "ray://127.0.0.1:1")
    assert "\n" not in str(caught.value)


@pytest.mark.soak
def test_what_kills_every_process_becomes_rows_with_an_error(nodes, tmp_path):
    cluster, experiment = nodes(1), Squares(n=20, poison=(7,))
    folder = claimed(tmp_path / "rows", experiment)
    progress = run_on_ray(experiment, folder, cluster.address)
    assert (progress.done, progress.total, progress.failed) == (20, 20, 5)
    failed = [row for row in table(folder) if row["error"]]
    expected = quiet(tmp_path / "quiet", Squares(n=20))
    batch = {row["key"] for row in expected if 5 <= row["number"] < 10}
    assert {row["key"] for row in failed} == batch
    assert {row["error"] for row in failed} == {
        "every process that ran it died, 4 in turn, such as of memory: --retry runs it again"
    }
    assert [row for row in table(folder) if not row["error"]] == [
        row for row in expected if row["key"] not in batch
    ]


@pytest.mark.soak
def test_a_run_whose_last_node_is_lost_says_that_it_waits_and_goes_on_with_another(nodes, tmp_path):
    cluster, experiment, said = nodes(1), Squares(n=40, seconds_each=0.05), []
    folder = claimed(tmp_path / "rows", experiment)
    is_removed = False

    def remove(progress: RunProgress) -> None:
        nonlocal is_removed
        if progress.done > 5 and not is_removed:
            is_removed = True
            cluster.remove()

    def add(line: str) -> None:
        said.append(line)
        cluster.add()

    run_on_ray(experiment, folder, cluster.address, on_progress=remove, say=add)
    assert len(said) == 1
    assert said[0].startswith("the cluster has no node left that can work: waiting for one")
    assert table(folder) == quiet(tmp_path / "quiet", Squares(n=40))


@pytest.mark.soak
def test_a_client_elsewhere_gets_the_same_rows(nodes, tmp_path, monkeypatch):
    """By Ray's client, whose server the head node has."""
    pytest.importorskip("grpc")
    monkeypatch.setenv("RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S", "120")  # its process imports for long
    port = free_port()
    experiment, _cluster = Squares(n=60), nodes(1, ray_client_server_port=port)
    folder = claimed(tmp_path / "rows", experiment)
    progress = run_on_ray(experiment, folder, f"ray://127.0.0.1:{port}")
    assert progress.done == 60
    assert table(folder) == quiet(tmp_path / "quiet", experiment)
