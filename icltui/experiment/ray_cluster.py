"""A cluster of Ray to work on: connected, silent on this terminal and towards the network, and left again."""

import contextlib
import importlib
import importlib.util
import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from icltui.storage.rows_folder import ROWS
from icltui.system.child_environment import guard_children
from icltui.text.escape import visible
from icltui.values.errors import BadInput

LOG = "ray.log"
"""What Ray says while it runs, in the folder of the rows."""
_MOST_CPUS = 4
"""CPUs of one actor where there is no GPU; a small model does not use more."""
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # Ray would send them home
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else it warns of what it does
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "GLOG_minloglevel": "2",
}


@contextlib.contextmanager
def connected(folder: Path, address: str | None) -> Iterator[Any]:
    """Ray, connected to a cluster; within, what is printed goes into ``folder``'s :data:`LOG`.

    Args:
        folder: a folder of rows.
        address: ``ray://HOST:PORT`` of a cluster elsewhere (its port for clients, 10001 unless told otherwise); None:
            the cluster that this machine is in, if Ray finds one (``RAY_ADDRESS``, or started here), else a new one of
            this machine alone.

    Raises:
        BadInput: Ray is not installed, or there is no cluster at the address.
    """
    if importlib.util.find_spec("ray") is None:
        raise BadInput("--on ray needs Ray, which is not installed: pip install 'icltui[ray]'")
    guard_children()
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    ray = importlib.import_module("ray")
    # Ray's threads print what happens to actors and nodes on stdout, which is for data.
    with (folder / LOG).open("a", encoding="utf-8", buffering=1) as log, contextlib.redirect_stdout(log):
        try:
            _connect(ray, folder, address)
            yield ray
        finally:
            ray.shutdown()


def _connect(ray: Any, folder: Path, address: str | None) -> None:
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        # Actors may import from the folder that is current here, so it is one that holds rows alone.
        with contextlib.chdir(folder / ROWS):
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except (ConnectionError, ValueError, RuntimeError, ImportError, TimeoutError) as error:
        reason = visible(" ".join(str(error).split())[:200])
        where = f"the cluster at {visible(address)}" if address else "a cluster of Ray"
        raise BadInput(f"cannot reach {where}: {reason}") from error
    finally:
        if is_main and handler is not None:
            signal.signal(signal.SIGTERM, handler)  # Ray puts its own there, which exits at once


def actor_share(nodes: Sequence[Mapping[str, Any]]) -> tuple[int, dict[str, float]]:
    """How many actors fit, and what each takes: a GPU, or up to four CPUs where no node has a GPU.

    ``nodes`` is Ray's own list of them.

    Raises:
        BadInput: no node has anything to work with.

    >>> actor_share([{"Alive": True, "Resources": {"CPU": 8.0}}, {"Alive": True, "Resources": {"CPU": 2.0}}])
    (5, {'num_cpus': 2, 'num_gpus': 0})
    >>> actor_share([{"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0}}, {"Alive": False, "Resources": {}}])
    (2, {'num_cpus': 1, 'num_gpus': 1})
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    if n_gpus := sum(int(resources.get("GPU", 0)) for resources in alive):
        return n_gpus, {"num_cpus": 1, "num_gpus": 1}
    cpus = [n for resources in alive if (n := int(resources.get("CPU", 0)))]
    if not cpus:
        raise BadInput("the cluster has neither GPUs nor CPUs to work on: add a node to it")
    share = min(_MOST_CPUS, *cpus)
    return sum(n // share for n in cpus), {"num_cpus": share, "num_gpus": 0}


def has_room(nodes: Sequence[Mapping[str, Any]], share: Mapping[str, float]) -> bool:
    """Whether a node that is there could ever hold an actor that takes this share.

    >>> has_room([{"Alive": False, "Resources": {"CPU": 8.0}}], {"num_cpus": 1, "num_gpus": 0})
    False
    >>> has_room([{"Alive": True, "Resources": {"CPU": 8.0}}], {"num_cpus": 1, "num_gpus": 0})
    True
    """
    names = {"CPU": "num_cpus", "GPU": "num_gpus"}
    return any(
        node["Alive"] and all(node["Resources"].get(name, 0) >= share[ours] for name, ours in names.items())
        for node in nodes
    )
