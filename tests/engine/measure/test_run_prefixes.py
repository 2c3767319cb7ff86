"""Packed copies against one forward pass each, and both against layers that are called by hand."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from icltui.engine.hooks.capture import Capture
from icltui.engine.measure import context_cache, run_prefixes
from icltui.engine.measure.forward_pass import position_ids, token_row
from icltui.engine.measure.run_prefixes import Plan, measure_prefixes, tokens_per_chunk
from icltui.engine.models import memory_estimate
from icltui.engine.prompts.tokenize import Ids
from icltui.values.errors import BadInput
from tests.engine.small_models import FAMILIES, tiny

EXACT = 2e-6
"""Relative; Hugging Face norms compute in float32 inside float64 models."""


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def ids(n: int, q: int, prefix: int = 1, step: int = 1) -> Ids:
    """A row of arbitrary tokens, the context cut every ``step`` tokens."""
    tokens = [(37 * k + 11) % 250 for k in range(prefix + n + q)]
    ends = sorted({0, *range(0, n, step), n})
    return Ids(
        tuple(tokens[:prefix]), tuple(tokens[prefix : prefix + n]), tuple(tokens[prefix + n :]), tuple(ends)
    )


def gather(loaded, plan: Plan, path: str, sites=None) -> dict[int, tuple[torch.Tensor, ...]]:
    chunks = list(measure_prefixes(loaded, sites or loaded.sites, plan, path))
    return {
        unit: (chunk.z[k], chunk.v[k], chunk.g_norm[k].nan_to_num())
        + (() if chunk.logits is None else (chunk.logits[k],))
        for chunk in chunks
        for k, unit in enumerate(chunk.units)
    }


def agree(packed: dict, loop: dict, n_units: int) -> None:
    assert sorted(packed) == sorted(loop) == list(range(n_units + 1))
    for unit, tensors in loop.items():
        for got, wanted in zip(packed[unit], tensors, strict=False):
            assert (got - wanted).norm() <= EXACT * wanted.norm(), f"unit {unit}"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("n", "q", "prefix", "step"), [(13, 3, 1, 1), (9, 1, 0, 1), (12, 4, 2, 5)])
def test_packed_equals_loop(family, n, q, prefix, step, monkeypatch):
    short = 0
    monkeypatch.setattr(memory_estimate, "CHUNK_TOKENS", 12)
    monkeypatch.setattr(run_prefixes, "FIRST_CHUNK_TOKENS", 6)
    monkeypatch.setattr(run_prefixes, "SHORT_RUN", short)
    loaded, plan = tiny(family), Plan(ids(n, q, prefix, step))
    agree(gather(loaded, plan, "packed"), gather(loaded, plan, "loop"), plan.n_units)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("dynamics", "reference", "positions"),
    [
        ("grow", "free", "keep"),
        ("grow", "local", "reset"),
        ("grow", "local", "keep"),
        ("shrink", "local", "keep"),
        ("drop", "local", "keep"),
    ],
)
def test_packed_equals_loop_whatever_is_missing_and_how(family, dynamics, reference, positions, monkeypatch):
    short = 0
    monkeypatch.setattr(memory_estimate, "CHUNK_TOKENS", 9)
    monkeypatch.setattr(run_prefixes, "FIRST_CHUNK_TOKENS", 6)
    monkeypatch.setattr(run_prefixes, "SHORT_RUN", short)
    loaded, plan = tiny(family), Plan(ids(11, 3, 2, 2), dynamics, reference, positions)
    assert plan.packs
    agree(gather(loaded, plan, "packed"), gather(loaded, plan, "loop"), plan.n_units)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    n=st.integers(0, 12), q=st.integers(1, 5), prefix=st.integers(0, 2), step=st.integers(1, 6),
    layers=st.sets(st.integers(0, 2), min_size=1), chunk=st.integers(1, 20), short=st.sampled_from([0, 1e12]),
    reference=st.sampled_from(["free", "local"]), positions=st.sampled_from(["reset", "keep"]),
)  # fmt: skip
def test_packed_equals_loop_at_any_lengths_units_and_layers(
    n, q, prefix, step, layers, chunk, short, reference, positions, monkeypatch
):
    monkeypatch.setattr(memory_estimate, "CHUNK_TOKENS", chunk)
    monkeypatch.setattr(run_prefixes, "SHORT_RUN", short)
    loaded, plan = tiny("qwen3"), Plan(ids(n, q, prefix, step), "grow", reference, positions)
    sites = [loaded.sites[k] for k in sorted(layers)]
    agree(gather(loaded, plan, "packed", sites), gather(loaded, plan, "loop", sites), plan.n_units)


def layer_by_hand(model, layer: int, stream: torch.Tensor, at: list[int]) -> torch.Tensor:
    """z of the last token when one Llama layer is handed ``stream`` at the positions ``at``."""
    seen = []
    block = model.model.layers[layer]
    handle = block.mlp.register_forward_pre_hook(lambda _, args: seen.append(args[0][0, -1]))
    rotary = model.model.rotary_emb(stream[None], torch.tensor([at]))
    mask = torch.full((len(at), len(at)), -torch.inf, dtype=stream.dtype).triu(1)
    block(stream[None], attention_mask=mask[None, None], position_embeddings=rotary)
    handle.remove()
    return seen[0]


@pytest.mark.parametrize("dynamics", ["grow", "shrink", "drop"])
@pytest.mark.parametrize("positions", ["reset", "keep"])
def test_local_is_the_layer_alone_without_the_units(dynamics, positions):
    """[2], [3]: each layer on the contextual stream of the tokens that are left."""
    loaded, plan = tiny("llama"), Plan(ids(7, 3), dynamics, "local", positions)
    streams = loaded.model(torch.tensor([plan.ids.full]), output_hidden_states=True).hidden_states
    found = gather(loaded, plan, "packed")
    for unit in range(plan.n_units + 1):
        begin, end = plan.gap(unit)
        left = [k for k in range(len(plan.ids.full)) if not 1 + begin <= k < 1 + end]
        at = left if positions == "keep" else list(range(len(left)))
        for layer in range(3):
            wanted = layer_by_hand(loaded.model, layer, streams[layer][0, left], at)
            assert (found[unit][0][layer] - wanted).norm() <= EXACT * wanted.norm(), (unit, layer)


@pytest.mark.parametrize("path", ["packed", "loop"])
def test_keep_is_an_ordinary_run_at_the_old_positions(path):
    """With learned positions a row may be built from embeddings, so that no position is told to the model."""
    loaded, plan = tiny("gpt2"), Plan(ids(6, 2), positions="keep")
    found = gather(loaded, plan, path)
    body = loaded.model.transformer
    for unit in range(plan.n_units + 1):
        tokens = token_row(plan.ids, plan.gap(unit))
        at = torch.tensor([*range(1 + unit), 7, 8])
        embedded = body.wte(torch.tensor(tokens)) + body.wpe(at)
        shifted = embedded - body.wpe(torch.arange(len(tokens)))  # the model adds these itself
        wanted = loaded.model(inputs_embeds=shifted[None]).logits[0, -1]
        assert (found[unit][3] - wanted).norm() <= EXACT * wanted.norm(), unit


@pytest.mark.parametrize("path", ["packed", "loop"])
@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_where_positions_stand_matters_behind_a_kept_prefix(path, family):
    loaded = tiny(family)
    reset, keep = (gather(loaded, Plan(ids(6, 2), positions=p), path)[0][0] for p in ("reset", "keep"))
    assert (reset - keep).norm() > 1e-3 * reset.norm()


def test_positions_cannot_be_kept_by_a_model_that_takes_none(monkeypatch):
    monkeypatch.setattr("icltui.engine.measure.forward_pass.forward_arguments", lambda _: {"input_ids"})
    with pytest.raises(BadInput, match="takes no positions: use --positions reset"):
        gather(tiny("llama"), Plan(ids(4, 2), positions="keep"), "loop")


@pytest.mark.parametrize(
    ("gap", "positions", "wanted"),
    [((1, 3), "keep", [0, 1, 4]), ((1, 3), "reset", [0, 1, 2]), ((0, 3), "keep", [0, 4]),
     ((3, 3), "keep", [0, 1, 2, 3, 4])],
)  # fmt: skip
def test_places(gap, positions, wanted):
    assert list(position_ids(ids(3, 1), gap, positions)) == wanted


@pytest.mark.parametrize("path", ["packed", "loop"])
def test_the_first_units_come_before_the_whole_context_has_run(path, monkeypatch):
    monkeypatch.setattr(run_prefixes, "FIRST_CHUNK_TOKENS", 4)
    monkeypatch.setattr(run_prefixes, "SHORT_RUN", 0)
    order = list(gather(tiny("llama"), Plan(ids(5, 2)), path))
    assert order == ([0, 1, 5, 2, 3, 4] if path == "packed" else [0, 5, 1, 2, 3, 4])


@pytest.mark.parametrize("path", ["packed", "loop"])
def test_with_experts_the_full_context_leads(path):
    assert next(iter(gather(tiny("mixtral"), Plan(ids(5, 2)), path))) == 5


def test_the_context_runs_once(monkeypatch):
    """Cost: n + (n+1) q tokens."""
    fed = []
    honest = run_prefixes.forward

    def counting(model, tokens, *args, **kwargs):
        fed.append(len(tokens))
        return honest(model, tokens, *args, **kwargs)

    for module in (run_prefixes, context_cache):
        monkeypatch.setattr(module, "forward", counting)
    gather(tiny("llama"), Plan(ids(9, 3, 2)), "packed")
    assert sum(fed) == 2 + 9 + 10 * 3


@pytest.mark.parametrize("path", ["packed", "loop"])
def test_an_empty_context_is_one_copy(path):
    assert list(gather(tiny("llama"), Plan(ids(0, 2)), path)) == [0]


def test_only_selected_layers_are_captured():
    loaded = tiny("llama")
    chosen = gather(loaded, Plan(ids(4, 2)), "packed", [loaded.sites[2]])
    assert {states[0].shape[0] for states in chosen.values()} == {1}
    everything = gather(loaded, Plan(ids(4, 2)), "packed")
    assert torch.equal(chosen[4][0][0], everything[4][0][2])


def test_chunks_shrink_where_memory_is_short(monkeypatch):
    loaded, row_ids = tiny("llama"), ids(40, 4)
    roomy = tokens_per_chunk(loaded, loaded.sites, row_ids)
    monkeypatch.setattr(memory_estimate, "CHUNK_BYTES", 2**19)
    tight = tokens_per_chunk(loaded, loaded.sites, row_ids)
    assert 4 <= tight < roomy == memory_estimate.CHUNK_TOKENS
    monkeypatch.setattr(memory_estimate, "CHUNK_BYTES", 1)
    assert tokens_per_chunk(loaded, loaded.sites, row_ids) == 4, "one copy must always fit"
    monkeypatch.undo()
    monkeypatch.setattr(run_prefixes, "free_bytes", lambda _: 2**21)
    assert 4 <= tokens_per_chunk(loaded, loaded.sites, row_ids) < roomy


def test_a_site_that_is_passed_by_is_an_error_not_a_number():
    capture = Capture(slice(None))
    capture.mlp_input(0, torch.zeros(1, 4))
    with pytest.raises(RuntimeError, match="captured z at layers"):
        capture.states()


def test_a_site_that_is_passed_twice_is_an_error_not_a_number():
    capture = Capture(slice(None))
    capture.mlp_input(0, torch.zeros(1, 4))
    with pytest.raises(RuntimeError, match="z passed twice at layer 0"):
        capture.mlp_input(0, torch.zeros(1, 4))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_expected_site_is_captured_once(family):
    loaded = tiny(family)
    for states in gather(loaded, Plan(ids(3, 2)), "packed").values():
        assert states[0].shape == states[1].shape == (3, 24)
        assert states[0].isfinite().all()
        assert bool((states[2] > 0).all()) == (FAMILIES[family].g is not None)
