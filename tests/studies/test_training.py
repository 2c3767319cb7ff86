"""The study of a training: checkpoints of a folder, what is measured at each, and what their rows add up to."""

import dataclasses
import math

import numpy as np
import pytest

from icltui.api.messages import LoadModel
from icltui.engine.checkpoints.measure import context_effect, strongest_heads, text_losses
from icltui.experiment.run import RowsInMemory, run_experiment
from icltui.storage.paths import MODEL_DIR
from icltui.studies.study import StudySettings, load_study
from icltui.studies.training import N_TOKENS
from icltui.studies.training_summary import bins, icl_score, log_slopes, summarise_training
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from icltui.values.training import TrainingRow
from tests.engine.small_models import tiny


@pytest.fixture
def checkpoints(tmp_path):
    """A folder of two checkpoints, which are the embedded model twice."""
    for name in ("step-8", "step-64"):
        (tmp_path / name).symlink_to(MODEL_DIR, target_is_directory=True)
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_a_folder_of_checkpoints_is_its_models_in_the_order_of_their_steps(checkpoints):
    def names(revisions=()):
        settings = StudySettings(load=LoadModel(model=str(checkpoints)), revisions=revisions)
        return [load.model.rsplit("/", 1)[1] for load in settings.models()]

    assert names() == ["step-8", "step-64"]
    assert names(("step-64",)) == ["step-64"]
    with pytest.raises(BadInput, match="choose from step-8, step-64"):
        names(("step-9",))
    assert StudySettings(load=LoadModel(model=str(MODEL_DIR))).models() == [LoadModel(model=str(MODEL_DIR))]


@pytest.mark.soak
def test_the_study_runs_over_checkpoints(checkpoints):
    study = load_study("training", StudySettings(load=LoadModel(model=str(checkpoints)), n=1))
    rows = RowsInMemory()
    run_experiment(study, rows)
    assert [row.error for row in rows] == [None] * 6
    assert [(row.revision, row.step, row.what) for row in rows][:3] == [
        ("step-8", 8, what) for what in ("text", "heads", "prompt")
    ]
    assert len(rows[0].loss) == N_TOKENS, "the kept prefix has no loss of its own"
    assert None not in rows[0].loss
    summary = study.summarise([{name: getattr(row, name) for name in row.__struct_fields__} for row in rows])
    assert [row[0] for row in summary.tables[0].rows] == ["step-8", "step-64"]
    assert {figure.kind for figure in summary.figures} == {"heatmap", "lines"}


def row(revision, step, **fields):
    made = TrainingRow(key=f"{revision} {fields}", model="m", revision=revision, step=step, **fields)
    return {name: getattr(made, name) for name in made.__struct_fields__}


def test_the_derivatives_of_a_known_surface_are_its_own():
    """Loss = 3 − 0.4 ln step ln position on each bin's centre: its mixed derivative is −0.4 everywhere."""
    n, steps = 64, (1, 8, 64)
    edges = bins(n)
    rows = []
    for step in steps:
        loss = [0.0] * n
        for first, last in edges:
            for position in range(first, last + 1):
                loss[position - 1] = 3 - 0.4 * math.log(step) * math.log((first * last) ** 0.5)
        rows.append(row(f"step-{step}", step, what="text", loss=tuple(loss)))
    tables = {table.title: table for table in summarise_training(rows, "", ()).tables}
    slopes = tables["d loss / d ln position (m)"].rows
    for (_, *cells), step in zip(slopes, steps, strict=True):
        assert cells == pytest.approx([-0.4 * math.log(step)] * (len(edges) - 1), abs=1e-12)
    mixed = tables["d² loss / d ln position d ln step (m)"].rows
    assert [name for name, *_ in mixed] == ["step-8", "step-64"]
    for _, *cells in mixed:
        assert cells == pytest.approx([-0.4] * (len(edges) - 1))


def test_the_steepest_fall_is_named():
    losses = {1: 2.0, 2: 1.9, 4: 0.5, 8: 0.4}
    rows = [
        row(f"step-{step}", step, what="text", loss=(2.0,) * 10 + (late,) * 10)
        for step, late in losses.items()
    ]
    first, *_ = summarise_training(rows, "", ()).answer
    assert "falls most, by 1.40, between step-2 and step-4" in first


@pytest.mark.parametrize("n", [1, 2, 3, 8, 9, 384])
def test_bins_hold_every_position_once(n):
    assert [p for first, last in bins(n) for p in range(first, last + 1)] == [*range(1, n + 1)]


def test_small_sums_are_as_by_hand():
    assert icl_score([4.0, 4.0, *[2.0] * 16, 1.0, 1.0]) == -3.0
    assert icl_score([1.0] * 5) is None
    assert log_slopes((1.0, 3.0, None), (1.0, math.e, 9.0)) == (2.0, None)


def test_losses_are_the_model_s_own():
    import torch

    loaded = tiny("llama")
    found = text_losses(loaded, "abcdefgh abcdefgh", 12)
    ids = loaded.tokenizer("abcdefgh abcdefgh")["input_ids"]
    with torch.no_grad():
        log_p = loaded.model(torch.tensor([ids])).logits[0].log_softmax(-1)
    wanted = [-log_p[k, ids[k + 1]].item() for k in range(len(ids) - 1)]
    known = [loss for loss in found.loss if loss is not None]
    assert known == pytest.approx(wanted[: len(known)])
    assert len(known) >= 11
    with pytest.raises(BadInput, match="99 are needed"):
        text_losses(loaded, "ab", 99)


def test_a_model_that_reads_too_few_tokens_is_refused_in_a_line():
    loaded = dataclasses.replace(tiny("llama"), window=12)
    with pytest.raises(BadInput, match="reads 12 tokens: 13 are needed"):
        text_losses(loaded, "abcdefgh abcdefgh", 12)


def test_the_strongest_head_is_the_largest_of_all():
    from icltui.engine.heads.repeated_tokens import prefix_matching

    loaded = tiny("llama")
    found, scores = strongest_heads(loaded, seed=3), prefix_matching(loaded, n_seeds=4, seed=3).induction
    table = np.array([scores[layer].mean(0).tolist() for layer in sorted(scores)])
    layer, head = np.unravel_index(table.argmax(), table.shape)
    assert (found.induction, found.induction_head) == (pytest.approx(table.max()), f"L{layer}H{head}")


def test_the_context_s_effect_is_that_of_two_runs():
    import torch

    loaded = tiny("llama")
    found = context_effect(loaded, Prompt(context="abc ", query="de"), "f")
    with torch.no_grad():
        for name, text in (("answer_context", "abc de"), ("answer_plain", "de")):
            ids = loaded.tokenizer(text + "f")["input_ids"]
            log_p = loaded.model(torch.tensor([ids[:-1]])).logits[0, -1].log_softmax(-1)[ids[-1]].item()
            assert getattr(found, name) == pytest.approx(log_p)
    assert found.patch_norm is not None
    assert found.patch_norm > 0


def test_a_score_that_never_falls_is_not_said_to():
    rows = [
        row(f"step-{step}", step, what="text", loss=(2.0,) * 10 + (late,) * 10)
        for step, late in {1: 1.0, 2: 1.0, 4: 1.5}.items()
    ]
    first, *_ = summarise_training(rows, "", ()).answer
    assert first.endswith("it never falls.")


def test_a_checkpoint_without_texts_and_two_of_one_step_are_no_end():
    losses = {"step-2": 2.0, "step2": 1.9, "step-8": 0.5}
    rows = [row(name, int(name[-1]), what="text", loss=(2.0, late) * 10) for name, late in losses.items()]
    rows.append(row("step-4", 4, what="heads", induction=0.5))
    summary = summarise_training(rows, "", ())
    mixed = next(table for table in summary.tables if table.title.startswith("d² loss"))
    assert [name for name, *_ in mixed.rows] == ["step-4", "step-8"]
    assert {value for _, *cells in mixed.rows for value in cells} == {None}
    assert {len(cells) for figure in summary.figures for cells in figure.cells} == {6, 5}


def test_checkpoints_without_steps_are_in_the_order_of_their_names():
    rows = [row(name, None, what="text", loss=(2.0,) * 20) for name in ("v10", "v9")]
    table, *_ = summarise_training(rows, "", ()).tables
    assert [name for name, *_ in table.rows] == ["v9", "v10"]
