"""``icltui study``: the list without a model, the summary of a run, a folder that goes on, and what is refused."""

import json
import subprocess
import sys

import pytest

from icltui.cli.main import main
from icltui.studies.catalogue import CATALOGUE
from icltui.studies.study import StudySettings, load_study


def test_the_list_names_every_study_with_its_question(capsys):
    assert main(["study", "--format", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in listed] == [entry.name for entry in CATALOGUE]
    assert main(["study"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for entry in CATALOGUE:
        assert entry.name in text
        assert entry.question.split()[0] in text


def test_the_list_needs_no_model():
    code = "import sys; from icltui.cli.main import main; main(['study']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120).returncode == 0


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_every_study_is_what_the_list_says(entry):
    study = load_study(entry.name, StudySettings(n=1))
    assert (study.kind, study.question) == (entry.name, entry.question)
    assert study.shows_not
    assert study.asked()["study"] == entry.name
    assert study.asked() != load_study(entry.name, StudySettings(n=1, seed=1)).asked()
    nothing = study.summarise([])
    assert (nothing.n_rows, nothing.question) == (0, entry.question)


@pytest.mark.soak
def test_a_run_in_memory_and_one_in_a_folder_say_the_same(capsys, tmp_path):
    asked = ["study", "relevance", "--n", "2", "--format", "json"]
    assert main(asked) == 0
    in_memory = json.loads(capsys.readouterr().out)
    folder = tmp_path / "relevance"
    assert main([*asked, "--out", str(folder)]) == 0
    in_folder = json.loads(capsys.readouterr().out)
    assert in_folder["n_rows"] == in_memory["n_rows"] == 8
    assert [table["rows"][0][0] for table in in_folder["tables"]] == [
        table["rows"][0][0] for table in in_memory["tables"]
    ]
    for ours, theirs in zip(in_folder["tables"][0]["rows"], in_memory["tables"][0]["rows"], strict=True):
        assert ours[:-1] == pytest.approx(theirs[:-1], rel=1e-3)
    assert (folder / "summary.json").is_file()
    kept = sorted((folder / "rows").iterdir())
    assert main([*asked, "--out", str(folder)]) == 0  # all is there already
    assert json.loads(capsys.readouterr().out) == in_folder
    assert sorted((folder / "rows").iterdir()) == kept
    assert main(["study", "relevance", "--n", "3", "--out", str(folder)]) == 2
    assert "was 2, now 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nonsense"], "is no study: choose from"),
        (["relevance", "--shard", "1/2"], "give --out DIR"),
        (["relevance", "--retry"], "give --out DIR"),
        (["relevance", "--n", "0"], "give 1 to"),
        (["relevance", "--seed", "-1"], "give a whole number"),
        (["relevance", "--revision", "a", "--revisions", "b"], "give one of them"),
    ],
)
def test_what_cannot_be_run_is_one_line(capsys, arguments, line):
    assert main(["study", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert line in err
