"""The measures against materialised matrices in float64, and the identities they obey."""

import dataclasses
import math

import pytest
import torch

from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import Capture
from icltui.engine.hooks.find_sites import find_sites
from icltui.engine.measure.forward_pass import forward, forward_states, position_ids
from icltui.engine.measure.measure import Measurer
from icltui.engine.measure.predictions import Vocabulary, finite_or_none, kl_divergence
from icltui.engine.measure.rank_one import project, project_back, weight_norm
from icltui.engine.measure.run_prefixes import Plan, measure_prefixes
from icltui.engine.patch.patch import TokenPatch
from icltui.engine.prompts.tokenize import Ids
from tests.engine.dense_reference import DenseModel
from tests.engine.small_models import FAMILIES, make_tiny, tiny

IDS = Ids((0,), (17, 203, 88, 140, 9), (70, 12), tuple(range(6)))
N = 5
ALL = ("grow", "shrink", "drop")


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def run(family: str, ids: Ids = IDS, dynamics="grow", path="packed", pairs=False, **more) -> tuple:
    loaded = tiny(family)
    plan = Plan(ids, dynamics, **more)
    measure = Measurer(loaded.sites, plan, Vocabulary(loaded.tokenizer), pairs)
    return measure, list(measure.measure(measure_prefixes(loaded, loaded.sites, plan, path)))


def measured(family: str, ids: Ids = IDS, dynamics="grow", **more):
    _, chunks = run(family, ids, dynamics, **more)
    rows = {(row.unit, row.layer): row for some, _ in chunks for row in some}
    predictions = {p.unit: p for _, some in chunks for p in some}
    return rows, predictions


def left(unit: int, dynamics: str) -> tuple[int, ...]:
    """The context that is left at ``unit``."""
    context = IDS.context
    if dynamics == "grow":
        return context[:unit]
    if dynamics == "shrink":
        return context[unit:]
    return context if unit == 0 else context[: unit - 1] + context[unit:]


def reference(family: str, layer: int, dynamics: str):
    """A_0..A_n, v_0..v_n of the last query token and the matrices that act, by hand-written names."""
    dense = DenseModel(tiny(family).model, FAMILIES[family])
    states = [dense.run([*IDS.prefix, *left(i, dynamics), *IDS.query], layer) for i in range(N + 1)]
    full = states[N if dynamics == "grow" else 0][0][-1]
    matrices = dense.matrices(layer)
    if family == "mixtral":
        router, experts = matrices
        chosen = (router @ full).topk(2).indices.sort().values
        matrices = [router, *experts[chosen]]
    g = [dense.down_input([*IDS.prefix, *left(i, dynamics), *IDS.query], layer) for i in range(N + 1)]
    return [z[-1] for z, _, _ in states], [v[-1] for _, v, _ in states], matrices, g


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dynamics", ALL)
def test_rows_equal_dense_matrices(family, dynamics):
    layer = 2
    rows, _ = measured(family, dynamics=dynamics)
    a, v, matrices, g = reference(family, layer, dynamics)
    w0 = torch.cat([w.reshape(-1, w.shape[-1]) for w in matrices])
    w, total, before = w0.clone(), 0.0, None
    for i in range(1, N + 1):
        base = 0 if dynamics == "drop" else i - 1
        delta = a[i] - a[base]
        if dynamics == "grow":
            key, loss = a[0], -float((w0 @ delta) @ (w0 @ a[i - 1]))
            update = torch.outer(w0 @ delta, key) / (key @ key)
        else:
            key, loss = a[i], None
            start = w if dynamics == "shrink" else w0
            update = torch.outer(start @ (a[base] - a[i]), key) / (key @ key)
        u = update @ key
        w = (w0 if dynamics == "drop" else w) + update
        total += float(torch.linalg.matrix_norm(update))
        row = rows[i, layer]
        wanted = {
            "delta_norm": delta.norm(),
            "z_norm": a[i].norm(),
            "learning_rate": 1 / a[i].norm() ** 2,
            "patch_norm": torch.linalg.matrix_norm(update, 2),
            "relative_patch_norm": update.norm() / w0.norm(),
            "cumulative_patch_norm": None if dynamics == "drop" else total,
            "net_patch_norm": None if dynamics == "drop" else (w - w0).norm(),
            "shift_norm": (v[i] - v[base]).norm(),
            "output_patch_norm": None
            if g[i] is None
            else (v[i] - v[base]).norm() / g[i if dynamics == "grow" else 0].norm(),
            "implicit_loss": loss,
            "half_step_square": u @ u / 2,
            "amplification": u.norm() / delta.norm() / (w0.norm() / len(key) ** 0.5),
        }
        if before is not None:
            last, last_delta = before
            inner = (update * last).sum() / update.norm() / last.norm()
            wanted["update_cosine_previous"] = inner
            wanted["cosine_previous"] = delta @ last_delta / delta.norm() / last_delta.norm()
            wanted["transfer_previous"] = ((update - last) @ key).norm() / u.norm()
        close(row, wanted, i)
        begin = 0
        for name, matrix in row.matrix_norms.items():
            size = sum(len(m) for m, n in zip(matrices, names(family, matrices), strict=True) if n == name)
            part = update[begin : begin + size]
            assert matrix == pytest.approx(float(part.norm()), rel=3e-5, abs=1e-7), name
            begin += size
        assert begin == len(w0), "every matrix must be told of"
        before = update, delta
    if dynamics == "grow":  # Prop. 3.1: the weights give without the context what they gave with it
        assert torch.allclose(w @ a[0], w0 @ a[-1], rtol=1e-6, atol=1e-9)
    if dynamics == "shrink":
        assert torch.allclose(w @ a[-1], w0 @ a[0], rtol=1e-6, atol=1e-9)


def names(family: str, matrices) -> list[str]:
    if family == "mixtral":
        return ["router", *["experts"] * (len(matrices) - 1)]
    return [path.removesuffix(".weight") for path in FAMILIES[family].matrices]


def close(row, wanted: dict, unit: int) -> None:
    for name, value in wanted.items():
        got = getattr(row, name)
        value = None if value is None or not math.isfinite(value) else float(value)
        assert (got is None) == (value is None), (name, unit, got, value)
        assert value is None or math.isclose(got, value, rel_tol=1e-4, abs_tol=2e-6), (name, unit, got, value)


@pytest.mark.parametrize("family", ["llama", "gpt2", "mixtral"])
def test_pairs_equal_dense_matrices(family):
    measure, _ = run(family, pairs=True, dynamics="drop")
    found = {pairs.layer: pairs for pairs in measure.pairs()}
    assert sorted(found) == [0, 1, 2]
    a, _, matrices, _ = reference(family, 1, "drop")
    w0 = torch.cat([w.reshape(-1, w.shape[-1]) for w in matrices])
    updates = [torch.outer(w0 @ (a[0] - a[i]), a[i]) / (a[i] @ a[i]) for i in range(1, N + 1)]
    for s in range(N):
        for t in range(N):
            cosine = (updates[s] * updates[t]).sum() / updates[s].norm() / updates[t].norm()
            key = a[s + 1]
            undone = ((updates[s] - updates[t]) @ key).norm() / (updates[s] @ key).norm()
            assert found[1].cosine[s][t] == pytest.approx(float(cosine), rel=1e-4, abs=1e-6)
            assert found[1].transfer[s][t] == pytest.approx(float(undone), rel=1e-4, abs=1e-6)


def test_units_are_compared_only_when_asked():
    assert run("llama")[0].pairs() == ()


def test_unit_zero_has_no_steps_and_the_last_predicts_as_the_context_does():
    rows, predictions = measured("qwen3")
    first = rows[0, 0]
    assert (first.delta_norm, first.patch_norm, first.cosine_previous) == (None, None, None)
    assert first.cumulative_patch_norm == first.net_patch_norm == 0.0
    assert predictions[N].kl_to_full == 0.0
    assert predictions[0].kl_to_full > 1e-4


@pytest.mark.parametrize("dynamics", ALL)
@pytest.mark.parametrize("path", ["packed", "loop"])
@pytest.mark.parametrize("family", ["llama", "mixtral"])
def test_rows_ascend_each_once_and_every_prediction_ends_with_its_distance(dynamics, path, family):
    _, chunks = run(family, dynamics=dynamics, path=path)
    assert [(r.unit, r.layer) for some, _ in chunks for r in some] == [
        (unit, layer) for unit in range(N + 1) for layer in range(3)
    ]
    last = {p.unit: p for _, some in chunks for p in some}
    assert sorted(last) == list(range(N + 1))
    assert all(p.kl_to_full is not None for p in last.values())
    assert last[N if dynamics == "grow" else 0].kl_to_full == 0.0


def test_a_long_context_shows_rows_before_it_has_run(monkeypatch):
    monkeypatch.setattr("icltui.engine.measure.run_prefixes.FIRST_CHUNK_TOKENS", 4)
    monkeypatch.setattr("icltui.engine.measure.run_prefixes.SHORT_RUN", 0)
    _, chunks = run("llama")
    (rows, predictions), *_ = chunks
    assert {row.unit for row in rows} == {0, 1}
    assert [p.kl_to_full for p in predictions] == [None, None]
    again = [p for _, some in chunks[1:] for p in some if p.unit in (0, 1)]
    assert [p.unit for p in again] == [0, 1]
    assert all(p.kl_to_full is not None for p in again)


@pytest.mark.parametrize("dynamics", ALL)
def test_predictions_equal_an_ordinary_forward_pass(dynamics):
    _, predictions = measured("gpt2", dynamics=dynamics)
    model = tiny("gpt2").model
    p = model(torch.tensor([[*IDS.prefix, *left(3, dynamics), *IDS.query]])).logits[0, -1].softmax(-1)
    top = predictions[3].top
    assert top[0].token.id == int(p.argmax())
    assert [c.probability for c in top] == pytest.approx(p.topk(5).values.tolist(), rel=1e-5)
    assert predictions[3].entropy == pytest.approx(float(-(p * p.log()).sum()), rel=1e-5)


@pytest.mark.parametrize("dynamics", ALL)
def test_an_empty_context_is_one_row_a_layer(dynamics):
    rows, predictions = measured("llama", Ids((0,), (), (70, 12), (0,)), dynamics)
    assert sorted(rows) == [(0, 0), (0, 1), (0, 2)]
    assert predictions[0].kl_to_full == 0.0


@pytest.mark.parametrize("dynamics", ALL)
@pytest.mark.parametrize("path", ["packed", "loop"])
def test_a_context_of_one_token_is_one_step(dynamics, path):
    rows, _ = measured("llama", Ids((0,), (17,), (70,), (0, 1)), dynamics, path=path)
    assert sorted(unit for unit, layer in rows if layer == 0) == [0, 1]
    assert rows[1, 0].delta_norm > 0
    assert rows[1, 0].update_cosine_previous is None


@pytest.mark.parametrize("family", FAMILIES)
def test_projection_stacks_every_matrix_that_reads_z(family):
    site = tiny(family).sites[1]
    dense = DenseModel(tiny(family).model, FAMILIES[family])
    stacked = torch.cat([w.reshape(-1, w.shape[-1]) for w in dense.matrices(1)])
    x = torch.randn(3, stacked.shape[1], dtype=torch.float64)
    images = project(site, x)
    assert torch.allclose(torch.cat(list(images.values()), dim=-1), x @ stacked.T)
    assert torch.allclose(project_back(site, images), x @ stacked.T @ stacked)
    assert weight_norm(site) == pytest.approx(float(stacked.norm()), rel=1e-6)


@pytest.mark.parametrize("family", ["gpt2", "llama", "mixtral"])
def test_half_precision_matrices_are_widened_a_few_rows_at_a_time(family, monkeypatch):
    monkeypatch.setattr("icltui.engine.measure.rank_one._BLOCK", 7 * 24)
    site = tiny(family, torch.bfloat16).sites[1]
    x = torch.randn(3, 24)
    stacked = torch.cat([matrix.float() for matrix in _matrices(site)])
    got = torch.cat(list(project(site, x).values()), dim=-1)
    assert torch.allclose(got, x @ stacked.T, rtol=1e-5, atol=1e-5)
    assert weight_norm(site) == pytest.approx(float(stacked.norm()), rel=1e-5)


def _matrices(site):
    for projection in site.input_projections:
        weight = getattr(projection.module, projection.parameter)
        weight = weight.mT if projection.transposed else weight
        yield weight.reshape(-1, weight.shape[-1])


def test_divergence_of_impossible_tokens_is_finite_where_it_should_be():
    p = torch.tensor([0.5, 0.5, 0.0]).log()
    q = torch.tensor([0.25, 0.25, 0.5]).log()
    assert kl_divergence(p, q) == pytest.approx(math.log(2))
    assert kl_divergence(p, p) == 0.0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_none_is_none(value):
    assert finite_or_none(value) is None


@pytest.mark.parametrize("family", FAMILIES)
def test_what_the_model_computes_on_its_way_is_what_a_projection_gives(family):
    """W z as the matrices' own modules give it, without their biases; experts and half precision are projected."""
    loaded = tiny(family)
    (chunk, *_) = measure_prefixes(loaded, loaded.sites, Plan(IDS), "packed")
    for k, site in enumerate(loaded.sites):
        images = project(site, chunk.z[:, k])
        known = chunk.images.get(site.layer, {})
        assert set(known) == {r.name for r in site.input_projections if r.name not in ("router", "experts")}
        for name, p in known.items():
            assert torch.allclose(p, images[name], rtol=1e-9, atol=1e-12), name
    half = tiny(family, torch.bfloat16)
    (chunk, *_) = measure_prefixes(half, half.sites, Plan(IDS), "packed")
    assert chunk.images == {}


def test_where_z_is_zero_cells_are_marked_and_nothing_is_summed_over_them():
    loaded = make_tiny("olmo2")
    loaded.model.model.layers[1].mlp.register_forward_pre_hook(lambda _, args: (args[0] * 0,))
    with torch.inference_mode(False):
        loaded = dataclasses.replace(loaded, sites=find_sites(loaded.model)[0])
    measure = Measurer(loaded.sites, Plan(IDS), Vocabulary(loaded.tokenizer))
    rows = [
        row
        for some, _ in measure.measure(measure_prefixes(loaded, loaded.sites, Plan(IDS), "packed"))
        for row in some
    ]
    marked = [row for row in rows if row.layer == 1 and row.unit > 0]
    assert marked
    for row in marked:
        assert row.patch_norm is row.cumulative_patch_norm is row.net_patch_norm is row.learning_rate is None


@pytest.mark.parametrize("positions", ["reset", "keep"])
def test_directions_of_rounding_errors_are_not_told(positions, monkeypatch):
    """A parallel block's MLP does not see this layer's attention: under *local* z moves by rounding alone."""
    monkeypatch.setattr("icltui.engine.models.memory_estimate.CHUNK_TOKENS", 4)
    rows, _ = measured("gpt_neox", reference="local", positions=positions)
    for row in rows.values():
        assert row.delta_norm is None or row.delta_norm < 1e-13
        assert row.cosine_previous is row.update_cosine_previous is row.transfer_previous is None
        assert row.amplification is None


@pytest.mark.parametrize("family", FAMILIES)
def test_local_is_what_exact_patches_below_leave_to_a_layer(family):
    """[2], [3]: with every layer below patched, a layer without the context sees what *local* says it sees.

    With positions kept, as learned ones are part of the stream that enters the first layer.
    """
    loaded, at = tiny(family), position_ids(IDS, (0, N), "keep")
    empty = next(
        chunk.at(slice(k, k + 1))
        for chunk in measure_prefixes(loaded, loaded.sites, Plan(IDS, "grow", "local", "keep"), "packed")
        for k, unit in enumerate(chunk.units)
        if unit == 0
    )
    _, targets = forward_states(loaded.model, loaded.sites, IDS.full, len(IDS.query))
    for layer, site in enumerate(loaded.sites):
        below = loaded.sites[:layer]
        patch = TokenPatch(below, "both")
        patch.aim(targets.layers(slice(0, layer)), slice(len(IDS.prefix), None))
        with attach(below, patch), attach([site], Capture(slice(-1, None))) as capture:
            forward(loaded.model, IDS.plain, position_ids=at)
        states = capture.states()
        for got, wanted in ((empty.z[0, layer], states.z[0, 0]), (empty.v[0, layer], states.v[0, 0])):
            assert (got - wanted).norm() <= 2e-6 * wanted.norm(), layer


@pytest.mark.parametrize("dynamics", ["grow", "shrink"])
@pytest.mark.parametrize("reference", ["free", "local"])
def test_steps_sum_up_and_the_way_is_no_shorter_than_the_distance(dynamics, reference):
    rows, _ = measured("qwen3", dynamics=dynamics, reference=reference)
    for layer in range(3):
        total = 0.0
        for unit in range(1, N + 1):
            row = rows[unit, layer]
            total += row.patch_norm
            assert row.cumulative_patch_norm == pytest.approx(total, rel=1e-12)
            assert row.net_patch_norm <= total * (1 + 1e-9)
