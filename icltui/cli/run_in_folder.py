"""What the commands of experiments share: the folder of rows, the share to run, and the summary at the end."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icltui.api.messages import Event, LoadModel
from icltui.cli.database_log import opened_log
from icltui.cli.load_progress import show_load_progress
from icltui.cli.output import stdout_to_stderr
from icltui.cli.run_progress import show_run_progress
from icltui.storage.paths import shown, typed_path
from icltui.system.streams import print_error
from icltui.values.results import Summary

if TYPE_CHECKING:
    from icltui.experiment.experiment import Experiment
    from icltui.experiment.logged_rows import LoggedRows
    from icltui.experiment.run import RowSink, RunProgress
    from icltui.experiment.track import Tracker
    from icltui.storage.database.log_queue import LogQueue

TRACKERS = ("trackio", "wandb")
_MOST_SHARDS = 100_000


def add_run_options(parser: argparse.ArgumentParser, *, is_folder_required: bool) -> argparse._ArgumentGroup:
    """Add the options of every experiment that leaves rows."""
    group = parser.add_argument_group("run")
    group.add_argument(
        "--out",
        metavar="DIR",
        type=typed_path,
        required=is_folder_required,
        help="folder of the rows and their summary; what is there already is not run again",
    )
    group.add_argument(
        "--shard",
        metavar="I/N",
        type=_read_shard,
        default=(1, 1),
        help="run only the I-th of N shares, such as one for each job of an array; all write into one folder",
    )
    group.add_argument("--retry", action="store_true", help="run the items again that ended in an error")
    group.add_argument(
        "--on",
        metavar="ray",
        type=_read_cluster,
        help="run on the GPUs of a cluster of Ray whose nodes all see DIR: ray is the one that this machine is in, or "
        "this machine alone; ray://HOST:PORT one elsewhere",
    )
    group.add_argument(
        "--track", choices=TRACKERS, help="tell a tracker how far the run is, and what comes of it"
    )
    return group


def run_in_folder(args: argparse.Namespace, experiment: "Experiment[Any, Any]") -> Summary:
    """Run what the folder lacks, and write what its rows add up to beside them.

    Raises:
        IcltuiError: the folder holds other rows, a model cannot be loaded, or something cannot be written.
        KeyboardInterrupt: it was interrupted; a line says what is kept.
    """
    from icltui.experiment.experiment_folder import claim
    from icltui.experiment.run import Shard
    from icltui.report.summary_files import write_summary
    from icltui.storage.row_store import RowStore, read_rows

    claim(args.out, experiment)
    store = RowStore(args.out, experiment.row_type)
    with opened_log(args) as log, tracked(args, experiment) as tracker:
        logged = _logged(store, log, experiment)
        try:
            run_watched(args, experiment, logged or store, tracker)
        except KeyboardInterrupt:
            kept = f"{len(store.keys()):,} items are kept in {shown(args.out)}"
            print_error(f"icltui: interrupted: {kept}: the same command goes on")
            raise
        rows: list[dict[str, Any]] = read_rows(args.out).to_pylist()
        if logged is not None:
            logged.log_others(rows, Shard(*args.shard))
        summary = experiment.summarise(rows)
        if tracker is not None:
            tracker.end(summary)
    if (line := write_summary(args.out, summary, rows)) is not None:
        print_error(f"icltui: {line}")
    return summary


def _logged(store: "RowSink[Any]", log: "LogQueue | None", experiment: Any) -> "LoggedRows | None":
    """The rows of a sweep on their way to the store and to the log, if there is one."""
    if log is None:
        return None
    from icltui.experiment.logged_rows import LoggedRows

    return LoggedRows(store, log, experiment.reading.positions)


def exit_code_of(summary: Summary) -> int:
    """1 where there are rows and not one has a result, so that a script does not take that for done."""
    return int(0 < summary.n_rows == summary.n_failed)


@contextmanager
def tracked(args: argparse.Namespace, experiment: "Experiment[Any, Any]") -> "Iterator[Tracker | None]":
    """The tracker that ``--track`` names, if it does, with the run begun; ended when the block is.

    Raises:
        BadInput: it is not installed.
    """
    if args.track is None:
        yield None
        return
    from icltui.experiment.track import open_tracker

    tracker = open_tracker(args.track, args.out or Path(), lambda line: print_error(f"icltui: {line}"))
    tracker.begin(experiment.kind, experiment.asked())
    try:
        yield tracker
    finally:
        tracker.end(None)


def run_watched(
    args: argparse.Namespace,
    experiment: "Experiment[Any, Any]",
    store: "RowSink[Any]",
    tracker: "Tracker | None" = None,
) -> "RunProgress":
    """Run what the store lacks, with the progress on stderr and told to the tracker.

    With ``--on`` the store is the one of the rows in ``args.out``.
    """
    from icltui.cli.common import local_engine
    from icltui.experiment.row_tally import RowTally, TalliedRows
    from icltui.experiment.run import Shard, run_experiment

    tally = RowTally()
    common: dict[str, Any] = {"shard": Shard(*args.shard), "retry": args.retry}
    with ExitStack() as stack, stdout_to_stderr():
        loads = _Loads(stack.enter_context(ExitStack()), stack.enter_context(show_run_progress(sys.stderr)))

        def on_progress(progress: "RunProgress") -> None:
            loads.loaded(progress)
            if tracker is not None:
                tracker.tell(tally, progress.total - progress.done)

        if args.on is not None:
            from icltui.experiment.ray_actors import run_on_ray

            return run_on_ray(
                experiment,
                args.out,
                args.on or None,
                on_tally=tally.merge,
                on_progress=on_progress,
                say=lambda line: print_error(f"icltui: {line}"),
                **common,
            )
        return run_experiment(
            experiment,
            TalliedRows(store, tally),
            engine=local_engine(),  # type: ignore[arg-type]
            on_progress=on_progress,
            on_load=loads.hear,
            **common,
        )


class _Loads:
    """The lines of each model's loading, and the line of the run after them."""

    def __init__(self, stack: ExitStack, on_progress: "Callable[[RunProgress], None]") -> None:
        self._stack = stack
        self._on_progress = on_progress
        self._request: LoadModel | None = None
        self._on_event: Any = None

    def hear(self, request: LoadModel, event: Event) -> None:
        """Show an event of the request's loading."""
        if request is not self._request:
            self._stack.close()
            self._request = request
            self._on_event = self._stack.enter_context(show_load_progress(sys.stderr, request.model))
        self._on_event(event)

    def loaded(self, progress: "RunProgress") -> None:
        """Erase the line of loading, and show how far the run is."""
        self._stack.close()
        self._request = None
        self._on_progress(progress)


def _read_shard(text: str) -> tuple[int, int]:
    index, slash, count = text.partition("/")
    if not (slash and index.isascii() and index.isdigit() and count.isascii() and count.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is no share: write I/N, such as 1/8")
    if not 1 <= int(index) <= int(count) <= _MOST_SHARDS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no share: I goes from 1 to N, and N is at most {_MOST_SHARDS:,}"
        )
    return int(index), int(count)


def _read_cluster(text: str) -> str:
    """The address of the cluster; empty: the one that Ray finds."""
    if text == "ray":
        return ""
    host, colon, port = text.removeprefix("ray://").rpartition(":")
    if not (text.startswith("ray://") and host and colon and port.isascii() and port.isdigit()):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no cluster: write ray, or ray://HOST:PORT of a cluster elsewhere"
        )
    return text
