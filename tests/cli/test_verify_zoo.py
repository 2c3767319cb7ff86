"""``icltui verify --zoo``: its words, its table, its exit code."""

import json

import msgspec
import pytest

from icltui.cli.main import main
from icltui.report.zoo import zoo_json, zoo_table
from icltui.values import ZooRow

EXACT = ZooRow(
    family="llama",
    model_class="LlamaForCausalLM",
    n_layers=4,
    n_exact=4,
    mlp_error=2e-7,
    mlp_error_bfloat16=0.0,
    block_error=3e-7,
    block_error_bfloat16=4e-3,
    logit_error=1e-7,
    undone=True,
    n_said=6,
    path="packed",
)
PARTLY = msgspec.structs.replace(
    EXACT, family="gemma3n_text", n_exact=1, n_refused=3, path="loop", notes=("why",)
)
REFUSED = ZooRow(family="mamba", model_class="MambaForCausalLM", notes=("no\nMLP",))
ALSO = msgspec.structs.replace(PARTLY, family="inkling")


def test_the_table_has_a_line_for_each_family_and_counts_them() -> None:
    text = zoo_table([EXACT, PARTLY, REFUSED, ALSO], width=110)
    lines = [line.split() for line in text.splitlines()]
    assert [
        "llama",
        "LlamaForCausalLM",
        "4/4",
        "2e-07",
        "0",
        "3e-07",
        "4e-03",
        "1e-07",
        "yes",
        "6",
        "packed",
    ] in lines
    assert ["mamba", "MambaForCausalLM", "0/0", "·", "·", "·", "·", "·", "·"] in lines
    assert text.endswith("4 families: exact on every layer 1, on some 2, on none 1; packed 1\n")
    assert max(map(len, text.splitlines())) <= 110


def test_a_real_model_is_no_family_and_is_counted_by_itself() -> None:
    real = msgspec.structs.replace(EXACT, family="SmolLM2", n_layers=30, n_exact=30, is_real=True)
    assert zoo_table([EXACT, real]).endswith(
        "1 families: exact on every layer 1, on some 0, on none 0; packed 1; SmolLM2: 30 of 30 layers\n"
    )
    assert zoo_table([real]).endswith("\nSmolLM2: 30 of 30 layers\n")


def test_a_note_stands_once_behind_all_its_families_and_on_one_line() -> None:
    text = zoo_table([PARTLY, REFUSED, ALSO])
    assert "gemma3n_text, inkling: why\n" in text
    assert "mamba: no⏎MLP\n" in text


def test_the_json_has_every_number() -> None:
    (row,) = json.loads(zoo_json([EXACT]))
    assert msgspec.convert(row, ZooRow) == EXACT


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[ZooRow]:
    found = [EXACT, PARTLY, REFUSED]
    monkeypatch.setattr("icltui.zoo.examine.examine_members", lambda _names: iter(found))
    return found


def test_the_command_prints_rows_and_exits_0_where_each_is_as_it_says(rows, capsys) -> None:
    assert main(["verify", "--zoo", "--family", "llama", "gpt2", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert [row["family"] for row in json.loads(out)] == [row.family for row in rows]
    assert err.splitlines()[0] == "llama: 4 of 4 layers exact"


def test_a_layer_that_is_neither_exact_nor_refused_makes_it_exit_1(rows, tmp_path, capsys) -> None:
    rows.append(msgspec.structs.replace(EXACT, n_exact=3))
    assert main(["verify", "--zoo", "-o", str(tmp_path / "table")]) == 1
    assert capsys.readouterr().out == ""
    assert "4 families" in (tmp_path / "table").read_text()


@pytest.mark.parametrize(
    "words", [["-q", "x"], ["-c", "x"], ["--model", "x"], ["--save", "x"], ["--layers", "1"]]
)
def test_a_prompt_or_a_model_is_refused(words: list[str], capsys) -> None:
    assert main(["verify", "--zoo", *words]) == 2
    assert "unrecognized arguments" in capsys.readouterr().err


def test_an_unknown_family_is_refused_before_any_work(capsys) -> None:
    assert main(["verify", "--zoo", "--family", "llama", "no-such"]) == 2
    assert "'no-such' is not in the zoo" in capsys.readouterr().err


def test_without_the_zoo_a_query_is_still_needed(capsys) -> None:
    assert main(["verify", "-c", "x"]) == 2
    assert "-q/--query" in capsys.readouterr().err
