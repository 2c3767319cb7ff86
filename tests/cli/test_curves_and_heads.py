"""``icltui curves`` and ``icltui heads`` on the embedded model."""

import json
from pathlib import Path

import pytest

from icltui.cli.main import main

CONTEXT, QUERY = "The capital of France is Rome. The capital of Spain is Cairo.", " The capital of France is"
PROMPT = ("-c", CONTEXT, "-q", QUERY)


def test_curves_say_what_the_context_gives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "curves.json"
    assert (
        main(["curves", *PROMPT, "--own", "2", "--own-tokens", "9", "--format", "json", "-o", str(file)]) == 0
    )
    found = json.loads(file.read_text("utf-8"))
    n = len(found["context_tokens"]) + len(found["query_tokens"])
    assert n == len(found["loss"]) == len(found["loss_without"]) == len(found["derivative"])
    gains = [b - a for a, b in zip(found["loss"], found["loss_without"], strict=True)]
    assert sum(gains[len(found["context_tokens"]) :]) / len(found["query_tokens"]) == pytest.approx(
        found["gain"]["value"], abs=1e-6
    )
    assert [len(text["loss"]) for text in found["own"]["texts"]] == [9, 9]
    assert "first and the last tenth" in " ".join(found["notes"])
    assert not capsys.readouterr().err


def test_heads_find_those_that_copy_the_answer(tmp_path: Path) -> None:
    file = tmp_path / "heads.json"
    assert (
        main(["heads", *PROMPT, "--sequences", "3", "--layers", "4-5", "--format", "json", "-o", str(file)])
        == 0
    )
    found = json.loads(file.read_text("utf-8"))
    assert len(found["heads"]) == 24, "scores are of all layers"
    assert [part["layer"] for part in found["contributions"]] == [4, 5]
    induction = {(head["layer"], head["head"]) for head in found["induction_heads"]}
    assert induction
    texts = [token["text"] for token in found["context_tokens"]]
    for part in found["contributions"]:
        assert part["sum_error"] < 1e-5
        assert sum(map(sum, part["share"])) == pytest.approx(1)
        head = max(range(4), key=part["head_share"].__getitem__)
        unit = max(range(len(texts)), key=part["share"][head].__getitem__)
        assert (texts[unit], (part["layer"], head) in induction) == (" Rome", True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("curves", *PROMPT, "--own", "65"), "65 texts of the model's own: ask for 0 to 64"),
        (("curves", *PROMPT, "--layers", "0"), "unrecognized arguments"),
        (("heads", *PROMPT, "--random", "1"), "1 random tokens to repeat: ask for 2 to 512"),
        (("heads", *PROMPT, "--layers", "7"), "out of range"),
        (("heads", "-c", "a"), "required: -q"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(list(words)) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_without_a_context_there_is_no_delta(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["heads", "-q", QUERY, "--sequences", "1", "--random", "10"]) == 0
    assert "there is no context, so there is no δ to split" in " ".join(capsys.readouterr().out.split())
