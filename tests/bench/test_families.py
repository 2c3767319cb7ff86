"""Families of tasks: exams of the model's own answers, resumed where they were stopped, counted as by hand."""

import json
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from icltui.bench import families as bench
from icltui.bench.families import FamilyResults, FamilySettings, examine_families
from icltui.bench.families_table import families_table
from icltui.bench.family_records import FamilyExam, FamilyPatch, RunKey, append_record, read_records, rows_of
from icltui.cli.main import main
from icltui.tasks.catalogue import families
from icltui.tasks.embedded import EMBEDDED
from icltui.values import Exam, ExamQuery, ExamRow
from icltui.values.errors import BadInput
from icltui.values.recipe import Recipe

LABELS = "labels of food, tool"
KEY = RunKey(
    model="m\x1b[2J", fingerprint="f", dtype="float32", version="1", recipe=Recipe(), bos="auto", budget=0.0
)
pytestmark = [pytest.mark.soak, pytest.mark.usefixtures("less_text")]
QUERY = ExamQuery(
    query="q", answer=" a", n_tokens=1, kl_plain=1.0, context=" a", plain=" b", right_context=True,
    right_plain=False, prior_margin=1.0,
)  # fmt: skip


def examined(family, *rows, kind="word", seed=0):
    exam = Exam(rows=rows, queries=(QUERY,) * 12, calibration=())
    return FamilyExam(key=KEY, family=family, kind=kind, seed=seed, exam=exam)


def row(patch, r, right=0, right_context=12, **rest):
    return ExamRow(
        patch=patch, r_median=r, r_low=r, r_high=r, right=right, right_context=right_context,
        right_of_context=right, n_queries=12, **rest,
    )  # fmt: skip


def patched(r_median, refused=None, n_queries=3, r_pooled=None):
    return FamilyPatch(
        key=KEY, family="x", kind="word", seed=0, n_queries=n_queries, refused=refused, r_median=r_median,
        r_left_out=0.1, collateral=0.5, seconds=2.0, r_pooled=r_pooled,
    )  # fmt: skip


def words_of(found, width=160):
    return [" ".join(line.split()) for line in families_table(found, width).splitlines()]


def test_each_family_is_examined_with_the_models_own_answers_and_the_file_spares_a_second_run(tmp_path):
    file, said = tmp_path / "results.jsonl", []
    settings = FamilySettings(family=(LABELS,), rows=("ordinary", "frozen"), budget=0.0, results=file)
    found = examine_families(settings, said.append)
    (record,) = found.records
    split = next(family for family in EMBEDDED if family.name == LABELS).split()
    assert record.exam.calibration == tuple(query.text for query in split.calibration)
    assert [query.query for query in record.exam.queries] == [query.text for query in split.unseen]
    assert [query.answer for query in record.exam.queries] == [query.answer for query in split.unseen]
    ordinary, frozen = record.exam.rows
    assert (ordinary.right_context, ordinary.right_plain) == (12, 0)
    assert ordinary.r_median > 0.9 > frozen.r_median
    assert ordinary.right >= 11

    again = examine_families(settings, said.append)
    assert again.records == found.records
    assert file.read_text().count("\n") == 1
    assert said.count(f"family 1 of 1: {LABELS}") == 1

    more = examine_families(replace_settings(settings, rows=("ordinary", "per-step")), said.append)
    assert [row.patch for row in more.records[-1].exam.rows] == ["per-step"]
    assert [row.patch for row in rows_of(more.records, LABELS, 0)] == ["ordinary", "frozen", "per-step"]
    assert more.records[-1].exam.rows[0].r_median > 0.999


def replace_settings(settings, **changes):
    return FamilySettings(**{**vars(settings), **changes})


def test_lines_of_another_model_version_or_recipe_are_not_taken(tmp_path):
    file = tmp_path / "results.jsonl"
    for key in (
        KEY,
        replace(KEY, fingerprint="g"),
        replace(KEY, version="2"),
        replace(KEY, recipe=Recipe(ridge=0.5)),
    ):
        append_record(file, replace(patched(0.5), key=key))
    assert read_records(file, KEY) == [patched(0.5)]
    assert read_records(tmp_path / "none", KEY) == []


def test_a_file_of_something_else_is_refused_with_its_line(tmp_path):
    file = tmp_path / "results.jsonl"
    append_record(file, patched(0.5))
    with file.open("a") as opened:
        opened.write('{"type": "exam"}\n')
    with pytest.raises(BadInput, match=r"line 2 of .* is no result of bench --only families"):
        read_records(file, KEY)
    with pytest.raises(BadInput, match=r"cannot write .*: name another results file"):
        append_record(tmp_path, patched(0.5))


def test_the_table_gives_medians_over_the_families_of_words_that_the_model_can_do():
    chosen = families("general")
    names = [family.name for family in chosen if family.kind == "word"][:3]
    records = (
        examined(
            names[0], row("ordinary", 0.9, 12, collateral_kl=0.1, seconds=1.0), row("distilled", 0.5, 6)
        ),
        examined(names[1], row("ordinary", 0.8, 8, 10, collateral_kl=0.3, seconds=3.0)),
        examined(names[2], row("ordinary", -9.0, 0, 5)),
        examined("JSON", row("ordinary", 0.25, 3), kind="form"),
    )
    lines = words_of(FamilyResults(KEY, chosen, records))
    assert lines[0].startswith("m␛[2J, float32, --bos auto; 4 families.")
    assert f"{names[0]} + word 0.9 0.9 to 0.9 12/12/0 of 12 0.1 1 ·" in lines
    assert f"{names[2]} word -9 -9 to -9 0/5/0 of 12 · 0 ·" in lines
    begin = lines.index("Words that the model can do in context (2 families): medians over the families")
    assert lines[begin + 3] == "compiled, ordinary 2 0.85 20 of 22 (91%) 0.2 2 ·"
    assert lines[begin + 4] == "distilled (gradient) 1 0.5 6 of 12 (50%) · 0 ·"
    assert "Forms and manners (1 families): medians over the families" in lines


def test_patches_are_counted_by_refusal_and_harm():
    records = (
        patched(0.5), patched(-0.5), patched(-1.0, refused="harms"), patched(0.25, refused="harms", n_queries=6),
        patched(None, n_queries=12),
    )  # fmt: skip
    lines = words_of(FamilyResults(KEY, (), records))
    assert lines[-4:] == [
        "3 queries 3 1 1 2 1 0 0.5 2",
        "6 queries 1 1 0 0 0 · · 2",
        "12 queries 1 0 0 1 0 · 0.5 2",
        "all 5 2 1 3 1 0 0.5 2",
    ]
    assert [record.is_harmful for record in records] == [False, True, False, False, False]


def test_a_patch_whose_median_is_good_is_counted_as_worse_where_all_queries_together_are():
    records = (patched(0.5, r_pooled=-0.1), patched(0.5, r_pooled=0.4), patched(0.5, "harms", r_pooled=-0.1))
    assert [record.is_harmful for record in records] == [True, False, False]
    assert words_of(FamilyResults(KEY, (), records))[-1] == "all 3 1 1 2 1 0.5 0.5 2"


def test_contexts_never_end_and_every_number_of_queries_has_its_turn():
    chosen = families("general")
    first = [*zip(range(3 * len(chosen)), bench._contexts(chosen), strict=False)]
    assert len({(family.name, seed) for _, (family, seed, _) in first}) == 3 * len(chosen)
    by_family = [{n for _, (family, _, n) in first if family is one} for one in chosen]
    assert by_family == [{3, 6, 12}] * len(chosen)


def test_the_command_compiles_patches_and_refuses_by_leave_one_out_alone(tmp_path: Path, capsys):
    file = tmp_path / "results.jsonl"
    command = [
        "bench",
        "--only",
        "families",
        "--family",
        LABELS,
        "--rows",
        "none",
        "--patches",
        "1",
        "--budget",
        "0.1",
    ]
    assert main([*command, "--results", str(file)]) == 0
    (line,) = file.read_text().splitlines()
    found = json.loads(line)
    assert (found["type"], found["n_queries"]) == ("patch", 3)
    assert "on the 3 calibration queries, each left out in turn" in found["refused"]
    assert msgspec.json.decode(line, type=FamilyPatch).r_median > 0
    assert "3 queries 1 1 0 0 0" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--family", "sums"), "no family 'sums' is made for this model: choose from"),
        (("--rows", "plain,best"), "no patch 'best': choose from"),
        (("--budget", "-1"), "'-1' is no number of seconds"),
        (("--repeat", "2"), "--repeat: of no use with --only families"),
    ],
)
def test_a_value_of_no_use_is_refused_before_any_model_is_loaded(options, message, capsys):
    assert main(["bench", "--only", "families", *options]) == 2
    assert message in capsys.readouterr().err
