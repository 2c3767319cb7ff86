"""A tracker hears of a run by the calls that trackio and wandb share, and never ends it."""

import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from icltui.experiment import track
from icltui.experiment.row_tally import RowTally
from icltui.experiment.track import Tracker, open_tracker
from icltui.values.errors import BadInput
from icltui.values.results import ResultRow, Summary, SummaryTable


class KlRow(ResultRow, frozen=True):
    """A row with a number of each kind."""

    kl: float | None = None
    equal: bool | None = None
    query: str = ""


ROWS = (
    KlRow(key="a", kl=1.0, equal=True, query="q"),
    KlRow(key="b", kl=3.0, equal=False),
    KlRow(key="c", kl=float("nan")),
    KlRow(key="d", error="broken", kl=100.0),
)
A_SUMMARY = Summary(
    title="t", tables=(SummaryTable(title="KL", columns=("layer", "mean", "name"), rows=((0, 0.5, "x"),)),)
)


class Recorder(ModuleType):
    """The three calls, written down; any of them may fail."""

    def __init__(self, failing: str = "") -> None:
        super().__init__("trackio")
        self.calls: list[tuple[str, dict[str, object]]] = []
        self._failing = failing

    def _call(self, name: str, value: dict[str, object]) -> None:
        print("painted")  # noqa: T201
        if name == self._failing:
            raise RuntimeError("no\nserver \x1b[31m")
        self.calls.append((name, value))

    def init(self, **values: object) -> None:
        self._call("init", values)

    def log(self, metrics: dict[str, object]) -> None:
        self._call("log", metrics)

    def finish(self) -> None:
        self._call("finish", {})


def tally() -> RowTally:
    counted = RowTally()
    counted.add(ROWS)
    return counted


def run(library: Recorder, said: list[str]) -> None:
    tracker = Tracker(library, "trackio", said.append)
    tracker.begin("sweep", {"layers": [0, 1]})
    tracker.tell(tally(), 7)  # too soon
    tracker.tell(tally(), 7, at_once=True)
    tracker.end(A_SUMMARY)


def test_a_tally_is_the_same_in_parts_and_over_processes():
    whole, parts = tally(), RowTally()
    for row in ROWS:
        one = RowTally()
        one.add([row])
        parts.merge(pickle.loads(pickle.dumps(one)))
    assert whole == parts
    assert (whole.n_rows, whole.n_failed) == (4, 1)
    assert whole.means() == {"kl": 2.0, "equal": 0.5}


def test_the_calls_that_both_libraries_have(capsys):
    library, said = Recorder(), []
    run(library, said)
    (init, begun), (log, point), (_, last), (finish, _) = library.calls
    assert [init, log, finish] == ["init", "log", "finish"]
    assert begun["project"] == "icltui"
    assert begun["config"]["layers"] == [0, 1]
    assert begun["config"]["kind"] == "sweep"
    assert (point["rows"], point["failed"], point["items_left"], point["mean/kl"]) == (4, 1, 7, 2.0)
    assert last == {"KL/0/mean": 0.5}
    assert said == []
    assert capsys.readouterr().out == ""  # what a library prints is no data


@pytest.mark.parametrize("failing", ["init", "log", "finish"])
def test_one_that_fails_is_let_go_with_one_line(failing):
    library, said = Recorder(failing), []
    run(library, said)
    assert len(said) == 1
    assert said[0].startswith("trackio failed and is let go, the run goes on: RuntimeError no server ␛")
    assert [name for name, _ in library.calls] == {
        "init": [],
        "log": ["init"],
        "finish": ["init", "log", "log"],
    }[failing]


@pytest.fixture(autouse=True)
def _put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a tracker changes in the environment of this process."""
    for name in ("PYTHONSAFEPATH", "PYTHONPATH", "WANDB_MODE", "WANDB_DIR", "WANDB_SILENT"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
        if not os.environ[name]:
            monkeypatch.delenv(name)


def test_one_that_is_not_there_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(BadInput, match=r"--track wandb needs wandb.*pip install 'icltui\[wandb\]'"):
        open_tracker("wandb", tmp_path, print)


def test_one_that_cannot_be_imported_is_one_line(tmp_path, monkeypatch):
    def broken(_name: str) -> ModuleType:
        raise ImportError("no\nglibc")

    monkeypatch.setattr("importlib.util.find_spec", lambda _name: True)
    monkeypatch.setattr(track.importlib, "import_module", broken)
    with pytest.raises(BadInput, match="--track trackio: it cannot be imported: ImportError no glibc"):
        open_tracker("trackio", tmp_path, print)


def test_wandb_stays_off_the_network_unless_the_user_wants_it(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: True)
    monkeypatch.setattr(track.importlib, "import_module", lambda _name: Recorder())
    monkeypatch.setenv("WANDB_DIR", "/elsewhere")
    open_tracker("wandb", tmp_path, print)
    assert (os.environ["WANDB_MODE"], os.environ["WANDB_DIR"]) == ("offline", "/elsewhere")


@pytest.mark.soak
@pytest.mark.parametrize("name", track.TRACKERS)
def test_the_real_library_keeps_a_run_without_a_network(name: str, tmp_path: Path) -> None:
    """In a process of its own, which a library's threads and exit hooks cannot outlive."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    script = (
        "import pathlib, sys\n"
        "from tests.experiment.test_track import A_SUMMARY, tally\n"
        "from icltui.experiment.track import open_tracker\n"
        f"tracker = open_tracker({name!r}, pathlib.Path({str(tmp_path)!r}), lambda line: sys.exit(line))\n"
        "tracker.begin('sweep', {'layers': [0, 1], 'model': {'name': None}})\n"
        "tracker.tell(tally(), 7, at_once=True)\n"
        "tracker.end(A_SUMMARY)\n"
    )
    env = {**os.environ, "TRACKIO_DIR": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".log"]
    assert any(b"mean/kl" in data for data in kept), [str(path) for path in tmp_path.rglob("*")]
