"""``icltui sweep``: a folder that goes on and is refused to others, and each bad input in one line."""

import importlib.util
import json
from types import SimpleNamespace

import pytest

from icltui.api.messages import DEMO, LoadModel
from icltui.cli.main import main
from icltui.cli.model_list import models_of
from icltui.cli.parser import parse
from icltui.experiment.run import RunProgress, Shard
from icltui.experiment.track import Tracker
from icltui.storage.row_store import read_rows

LINE = (
    '{"context": "The capital of France is Rome.\\n", "query": "The capital of France is", "answer": " Rome"}'
)


@pytest.fixture
def prompts(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text(f"{LINE}\nbroken \x1b[2J\n{LINE}\n" + '{"query": "a b", "tags": "x"}\n')
    return path


def sweep(prompts, *more):
    return main(["sweep", str(prompts), "--out", str(prompts.parent / "out"), *more])


def test_a_sweep_leaves_a_folder_and_goes_on(prompts, capsys):
    folder = prompts.parent / "out"
    assert sweep(prompts) == 0
    output = capsys.readouterr()
    assert "Divergence from the context's next token" in output.out
    assert "left out of PROMPTS: 2: no JSON object" in output.err
    assert "1 that is there before" in output.err
    assert "\x1b" not in output.err
    assert {path.name for path in folder.iterdir()} >= {
        "experiment.json",
        "rows",
        "summary.json",
        "summary.md",
        "rows.csv",
    }
    assert json.loads((folder / "summary.json").read_text())["n_rows"] == 2
    before = read_rows(folder)
    assert sweep(prompts) == 0
    assert read_rows(folder).equals(before)
    capsys.readouterr()
    assert sweep(prompts, "--alpha", "0.5") == 2
    assert "holds another sweep (recipes was" in capsys.readouterr().err
    prompts.write_text(LINE.replace("Rome", "Oslo"))
    assert sweep(prompts) == 2
    assert "holds another sweep (n_prompts was 2, now 1)" in capsys.readouterr().err
    assert read_rows(folder).equals(before)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--alpha", "2.5"], "alpha 2.5 is out of range"),
        (["--alpha", "jvp"], "--alpha jvp is not for sweeps"),
        (["--layers", "x"], "layers 'x' not understood"),
        (["--shard", "3/2"], "'3/2' is no share"),
        (["--shard", "0/2"], "'0/2' is no share"),
        (["--shard", "²/3"], "'²/3' is no share"),
        (["--limit", "0"], "give 1 to 1,000,000"),
        (["--field", "q=x"], "names no field"),
        (["--shots", "-1"], "give 0 to 1,000"),
        (["--revisions", ","], "names no revision"),
        (["--model", ""], "--model is empty"),
        (["--seeds", "-1"], "seed -1"),
        (["--on", "dask"], "'dask' is no cluster: write ray, or ray://HOST:PORT"),
        (["--on", "ray://:1"], "'ray://:1' is no cluster"),
        (["--on", "ray://host"], "'ray://host' is no cluster"),
        (["--track", "mlflow"], "invalid choice: 'mlflow'"),
    ],
)
def test_bad_words_are_one_line_before_anything_is_made(prompts, capsys, words, complaint):
    assert sweep(prompts, *words) == 2
    error = capsys.readouterr().err
    assert complaint in error.splitlines()[-1]
    assert not (prompts.parent / "out").exists()


def test_a_missing_file_and_a_folder_that_is_none(prompts, capsys):
    assert sweep(prompts.parent / "none.jsonl") == 2
    assert "no such file" in capsys.readouterr().err
    assert main(["sweep", str(prompts), "--out", str(prompts)]) == 2
    assert "is no folder" in capsys.readouterr().err


def test_every_model_has_every_revision():
    words = [
        "sweep",
        "p.jsonl",
        "--out",
        "o",
        "--model",
        "a",
        "--model",
        "b",
        "--revisions",
        "x,y",
        "--dtype",
        "float32",
    ]
    found = models_of(parse(words))
    assert found == tuple(LoadModel(model=m, revision=r, dtype="float32") for m in "ab" for r in "xy")
    assert models_of(parse(words[:4])) == (LoadModel(model=DEMO),)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--on", "ray"], "--on ray needs Ray, which is not installed: pip install 'icltui[ray]'"),
        (
            ["--track", "wandb"],
            "--track wandb needs wandb, which is not installed: pip install 'icltui[wandb]'",
        ),
    ],
)
def test_an_extra_that_is_not_installed_is_one_line(prompts, capsys, monkeypatch, words, complaint):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("ray", "wandb") else find(name)
    )
    assert sweep(prompts, *words) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"icltui: {complaint}"


def test_ray_gets_the_sweep_its_share_and_the_address(prompts, capsys, monkeypatch):
    asked = []

    def run_on_ray(experiment, folder, address, *, say, shard, retry, **_):
        say("the cluster has no node")
        asked.append((experiment.kind, folder, address, shard, retry))
        return RunProgress()

    monkeypatch.setattr("icltui.experiment.ray_actors.run_on_ray", run_on_ray)
    folder = prompts.parent / "out"
    assert sweep(prompts, "--on", "ray", "--shard", "2/3", "--retry") == 0
    assert sweep(prompts, "--on", "ray://head:10001") == 0
    assert asked == [
        ("sweep", folder, None, Shard(2, 3), True),
        ("sweep", folder, "ray://head:10001", Shard(), False),
    ]
    assert "icltui: the cluster has no node" in capsys.readouterr().err


def test_a_tracker_hears_of_the_run_and_of_its_summary(prompts, capsys, monkeypatch):
    calls = []
    library = SimpleNamespace(
        init=lambda **values: calls.append(("init", values)) or print("painted"),  # noqa: T201
        log=lambda metrics: calls.append(("log", metrics)),
        finish=lambda: calls.append(("finish", {})),
    )
    monkeypatch.setattr("icltui.experiment.track.open_tracker", lambda *of: Tracker(library, of[0], of[2]))
    assert sweep(prompts, "--track", "trackio") == 0
    assert "painted" not in capsys.readouterr().out
    (first, config), *_, (log, numbers), (last, _) = calls
    assert (first, log, last) == ("init", "log", "finish")
    assert config["config"]["kind"] == "sweep"
    assert config["config"]["n_prompts"] == 2
    assert numbers
    assert all(isinstance(value, int | float) for value in numbers.values())


def test_a_sweep_of_nothing_but_errors_says_so_to_scripts(tmp_path):
    prompts = tmp_path / "p.jsonl"
    prompts.write_text(json.dumps({"query": "The capital " * 2000}) + "\n")
    assert sweep(prompts) == 1
    assert read_rows(tmp_path / "out")["error"][0].as_py()
