"""The measures of *grow* against materialised matrices in float64, and the identities they obey."""

import math

import pytest
import torch

from icltui.engine.dynamics import divergence, measure_growth, plain
from icltui.engine.prefixes import measure_prefixes
from icltui.engine.tokens import Ids
from icltui.engine.update import project, projected_norm, weight_norm
from tests.engine.dense import DenseModel
from tests.engine.models import FAMILIES, tiny

IDS = Ids((0,), (17, 203, 88, 140, 9), (70, 12), tuple(range(6)))
N = 5


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def measured(family: str, ids: Ids = IDS):
    loaded = tiny(family)
    chunks = measure_prefixes(loaded, loaded.sites, ids, "packed")
    steps = list(measure_growth(loaded.sites, chunks, loaded.tokenizer, len(ids.ends) - 1))
    rows = {(row.unit, row.layer): row for some, _ in steps for row in some}
    predictions = {p.unit: p for _, some in steps for p in some}
    return rows, predictions


def reference(family: str, layer: int):
    """A_0..A_n, v_0..v_n of the last query token and the stacked W, by hand-written names."""
    dense = DenseModel(tiny(family).model, FAMILIES[family])
    states = [dense.run([*IDS.prefix, *IDS.context[:i], *IDS.query], layer) for i in range(N + 1)]
    stacked = torch.cat([w.reshape(-1, w.shape[-1]) for w in dense.matrices(layer)])
    return [z[-1] for z, _, _ in states], [v[-1] for _, v, _ in states], stacked


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("layer", [0, 2])
def test_rows_equal_dense_matrices(family, layer):
    rows, _ = measured(family)
    a, v, w0 = reference(family, layer)
    reference_norm, w, total, previous = a[0].norm(), w0.clone(), 0.0, None
    assert abs(weight_norm(tiny(family).sites[layer]) - float(w0.norm())) < 1e-6
    for i in range(1, N + 1):
        delta = a[i] - a[i - 1]
        update = torch.outer(w0 @ delta, a[0]) / reference_norm**2
        w = w + update
        total += float(torch.linalg.matrix_norm(update))
        row = rows[i, layer]
        wanted = {
            "delta_norm": delta.norm(),
            "z_norm": a[i].norm(),
            "learning_rate": 1 / a[i].norm() ** 2,
            "patch_norm": torch.linalg.matrix_norm(update, 2),
            "relative_patch_norm": update.norm() / w0.norm(),
            "cumulative_patch_norm": total,
            "net_patch_norm": (w - w0).norm(),
            "shift_norm": (v[i] - v[i - 1]).norm(),
            "cosine_previous": None
            if previous is None
            else delta @ previous / delta.norm() / previous.norm(),
        }
        for name, value in wanted.items():
            got = getattr(row, name)
            if value is not None and not math.isfinite(
                value
            ):  # a parallel block's first δ is 0, its cosine undefined
                value = None
            assert (got is None) == (value is None), name
            assert value is None or math.isclose(got, float(value), rel_tol=3e-5, abs_tol=1e-7), (name, i)
        previous = delta
    # Prop. 3.1: after n steps the weights give without the context what they gave with it.
    assert torch.allclose(w @ a[0], w0 @ a[-1], rtol=1e-6, atol=1e-9)


def test_unit_zero_has_no_steps_and_the_last_predicts_as_the_context_does():
    rows, predictions = measured("qwen3")
    first = rows[0, 0]
    assert (first.delta_norm, first.patch_norm, first.cosine_previous) == (None, None, None)
    assert first.cumulative_patch_norm == first.net_patch_norm == 0.0
    assert predictions[N].kl_to_full == 0.0
    assert predictions[0].kl_to_full > 1e-4


def test_predictions_equal_an_ordinary_forward_pass():
    _, predictions = measured("gpt2")
    model = tiny("gpt2").model
    p = model(torch.tensor([[*IDS.prefix, *IDS.context[:3], *IDS.query]])).logits[0, -1].softmax(-1)
    top = predictions[3].top
    assert top[0].token.id == int(p.argmax())
    assert [c.probability for c in top] == pytest.approx(p.topk(5).values.tolist(), rel=1e-5)
    assert predictions[3].entropy == pytest.approx(float(-(p * p.log()).sum()), rel=1e-5)


def test_an_empty_context_is_one_row_a_layer():
    rows, predictions = measured("llama", Ids((0,), (), (70, 12), (0,)))
    assert sorted(rows) == [(0, 0), (0, 1), (0, 2)]
    assert predictions[0].kl_to_full == 0.0


@pytest.mark.parametrize("family", FAMILIES)
def test_projection_stacks_every_matrix_that_reads_z(family):
    site = tiny(family).sites[1]
    dense = DenseModel(tiny(family).model, FAMILIES[family])
    stacked = torch.cat([w.reshape(-1, w.shape[-1]) for w in dense.matrices(1)])
    x = torch.randn(3, stacked.shape[1], dtype=torch.float64)
    assert torch.allclose(projected_norm(site, x), (x @ stacked.T).norm(dim=-1))
    assert project(site, x).shape == (3, len(stacked))


def test_divergence_of_impossible_tokens_is_finite_where_it_should_be():
    p = torch.tensor([0.5, 0.5, 0.0]).log()
    q = torch.tensor([0.25, 0.25, 0.5]).log()
    assert divergence(p, q) == pytest.approx(math.log(2))
    assert divergence(p, p) == 0.0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_none_is_none(value):
    assert plain(value) is None
