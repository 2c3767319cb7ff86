"""One layer's patch alone must do what putting that block's contextual output in its place does, run in full."""

import dataclasses
import weakref

import pytest
import torch
from msgspec.structs import replace
from torch.nn.functional import kl_div

from icltui.api.messages import MeasureEffects
from icltui.engine.effects import lone_patches
from icltui.engine.effects import measure_effects as module
from icltui.engine.effects.measure_effects import MOST_CELLS, N_RANDOM, measure_effects
from icltui.engine.generate.prepare_request import prepare_inputs
from icltui.engine.trial import lower_blocks
from icltui.values import UnitEffects
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from tests.engine.dense_reference import DenseModel
from tests.engine.small_models import FAMILIES, attribute, make_tiny, tiny
from tests.thinned import thinned

PROMPT = Prompt(context="dogs bark, cats", query=" mew", unit=" ")
REQUEST = MeasureEffects(prompt=PROMPT)


def effects_of(loaded, request=REQUEST, path="packed", **more):
    with torch.inference_mode():
        prepared = prepare_inputs(loaded, request.prompt, request.layers)
        return measure_effects(loaded, prepared, request, path, **more), prepared


def kl(full, patched):
    return float(kl_div(patched.log_softmax(-1), full.log_softmax(-1), reduction="sum", log_target=True))


def hidden(output):
    return output[0] if isinstance(output, tuple) else output


class WholeRuns:
    """The slow reference: hooks on whole blocks, every block run each time, without the engine."""

    def __init__(self, loaded, family, ids, positions):
        self.model, self.ids, self.positions = loaded.model, ids, positions
        self.blocks, self.q = attribute(loaded.model, FAMILIES[family].blocks), len(ids.query)

    def logits(self, n_context, changed=None):
        """The last token's logits and every block's output, one block's changed at the query's tokens."""
        ids, seen, handles = self.ids, [], []

        def hook(_module, _args, output):
            out = hidden(output)
            if changed is not None and len(seen) == changed[0]:
                out[:, -self.q :] = changed[1]
            seen.append(out[:, -self.q :].clone())

        row = [*ids.prefix, *ids.context[:n_context], *ids.query]
        at = list(range(len(row)))
        if self.positions == "keep":
            at = [*at[: -self.q], *range(len(ids.full) - self.q, len(ids.full))]
        handles = [block.register_forward_hook(hook) for block in self.blocks]
        with torch.inference_mode():
            logits = self.model(
                torch.tensor([row]),
                position_ids=torch.tensor([at]),
                attention_mask=torch.ones(1, len(row), dtype=torch.long),
                use_cache=False,
            ).logits[0, -1]
        for handle in handles:
            handle.remove()
        return logits, seen


@pytest.mark.parametrize("family", thinned(FAMILIES, 3))
@pytest.mark.parametrize(("positions", "path"), [("reset", "packed"), ("keep", "loop")])
def test_a_cell_is_one_block_replaced_in_a_whole_run(family, positions, path):
    loaded = tiny(family)
    request = MeasureEffects(prompt=replace(PROMPT, positions=positions))
    sent = []
    found, prepared = effects_of(loaded, request, path, send=sent.append)
    ids = prepared.ids
    whole = WholeRuns(loaded, family, ids, positions)
    full, _ = whole.logits(len(ids.context))
    assert found.plain == pytest.approx(kl(full, whole.logits(0)[0]), rel=1e-9)
    assert [of.unit for of in found.units] == [1, 2, 3]
    for of in found.units:
        prefix, outputs = whole.logits(ids.ends[of.unit])
        assert of.prefix == pytest.approx(kl(full, prefix), rel=1e-9, abs=1e-12)
        assert of.all_layers == pytest.approx(of.prefix, rel=1e-9, abs=1e-12)
        wanted = [kl(full, whole.logits(0, (layer, outputs[layer]))[0]) for layer in found.layers]
        assert of.kl == pytest.approx(wanted, rel=1e-9, abs=1e-12)
        assert of.kl[-1] == pytest.approx(of.prefix, rel=1e-9, abs=1e-12)  # the tautology
    spread = [max(of.kl) - min(of.kl) for of in found.units]
    assert max(spread) > 1e-3 * found.plain
    assert found.noise < 1e-9
    assert all(value > 1e-6 for value in found.random)
    assert [of.unit for event in sent for of in event.units] == [3, 1, 2]
    assert sorted((of for event in sent for of in event.units), key=lambda of: of.unit) == [*found.units]


@pytest.mark.parametrize("layer", [0, 2])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_cell_of_a_query_of_one_token_is_a_change_of_weights(family, layer):
    loaded, prompt = tiny(family), Prompt(context="dogs", query="m")
    prepared = prepare_inputs(loaded, prompt, str(layer))
    bare = dataclasses.replace(
        prepared.ids, prefix=()
    )  # weights serve one token: nothing else may be in the row
    with torch.inference_mode():
        found = measure_effects(
            loaded,
            dataclasses.replace(prepared, ids=bare),
            MeasureEffects(prompt=prompt, layers=str(layer)),
            "packed",
        )
        contextual, dense = (DenseModel(loaded.model, FAMILIES[family]) for _ in range(2))
        (z_context, v_context, logits), (z, v, _) = (
            contextual.run(bare.full, layer),
            dense.run(bare.plain, layer),
        )
        difference = (z_context - z[-1])[-1]
        for weight in dense.matrices(layer):
            weight += torch.outer(weight @ difference, z[-1]) / z[-1].square().sum()
        dense.add_to_output(layer, (v_context - v[-1])[-1])
        patched = dense.run(bare.plain, layer)[2]
    assert found.units[-1].kl[0] == pytest.approx(kl(logits[-1], patched[-1]), rel=1e-9, abs=1e-12)


def test_chunks_skipped_blocks_and_single_rows_give_the_same(monkeypatch):
    loaded = tiny("qwen3")
    found, _ = effects_of(loaded)
    monkeypatch.setattr(module, "rows_at_once", lambda *_: 1)
    alone, _ = effects_of(loaded)
    monkeypatch.setattr(lower_blocks, "_checked", lambda *_: [])
    slow, _ = effects_of(loaded)
    for other in (alone, slow):
        assert other.random == pytest.approx(found.random, rel=1e-9)
        for ours, theirs in zip(other.units, found.units, strict=True):
            assert ours.kl == pytest.approx(theirs.kl, rel=1e-9, abs=1e-12)


def test_a_chosen_layer_is_the_same_and_its_controls_are_its_own():
    loaded = tiny("gpt2")
    found, _ = effects_of(loaded)
    one, _ = effects_of(loaded, replace(REQUEST, layers="1"))
    assert one.layers == (1,)
    assert [of.kl[0] for of in one.units] == pytest.approx([of.kl[1] for of in found.units], rel=1e-9)
    assert [of.all_layers for of in one.units] == pytest.approx([of.kl[0] for of in one.units], rel=1e-9)
    assert one.noise is None
    assert one.random == pytest.approx(found.random[1:2], rel=1e-9)
    assert (one.n_random, found.seed) == (N_RANDOM, 0)


def test_memory_that_does_not_suffice_halves_the_rows(monkeypatch):
    loaded = tiny("qwen3")
    found, _ = effects_of(loaded)
    through, sizes, failed = module.LonePatches.through, [], []

    def scarce(self, *args):
        sizes.append(self.n_rows)
        assert not any(rows() for rows in failed), (
            "what the larger try holds is given back before the smaller one"
        )
        if self.n_rows > 1:
            through(self, *args)
            failed.append(weakref.ref(self))
            raise MemoryError
        return through(self, *args)

    monkeypatch.setattr(module.LonePatches, "through", scarce)
    few, _ = effects_of(loaded)
    assert failed
    assert max(sizes) > 1
    assert sizes.count(2) < 4  # it is not tried over and over
    assert [of.kl for of in few.units] == [pytest.approx(of.kl, rel=1e-9, abs=1e-12) for of in found.units]


def test_progress_counts_cells_and_may_stop_the_work():
    loaded, told = tiny("gpt2"), []
    effects_of(loaded, on_progress=lambda *args: told.append(args))
    cells = [args for args in told if args[0].startswith("patching")]
    assert [done for _, done, _ in cells] == [0, 1, 2, 3, 5, 7]
    assert {total for *_, total in cells} == {9}

    def stop(_stage, done=0, _total=0):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        effects_of(loaded, on_progress=stop)
    assert not any("forward" in vars(part) for part in loaded.model.modules())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in loaded.model.modules())


def test_what_cannot_be_shown_is_refused():
    loaded = tiny("gpt2")
    with pytest.raises(BadInput, match="no context"):
        effects_of(loaded, MeasureEffects(prompt=Prompt(query="a")))
    with pytest.raises(BadInput, match="use larger units, such as sentences, or fewer layers"):
        module._check_size(30, 986)
    module._check_size(1, MOST_CELLS)


def test_random_patches_differ_and_their_median_is_shown(monkeypatch):
    loaded = tiny("gpt2")
    found, _ = effects_of(loaded)
    monkeypatch.setattr(module, "N_RANDOM", 1)
    each = [effects_of(loaded, replace(REQUEST, seed=seed))[0].random for seed in range(N_RANDOM)]
    assert len(set(each)) == N_RANDOM
    medians = torch.tensor(each, dtype=torch.float64).quantile(0.5, dim=0)
    assert found.random == pytest.approx(medians.tolist(), rel=1e-6)


def test_blocks_below_a_patched_layer_run_once(monkeypatch):
    loaded, runs, through = make_tiny("gpt2"), [], module.LonePatches.through
    for site in loaded.sites:
        site.mlp.register_forward_hook(lambda *_, layer=site.layer: runs.append(layer))

    def counted(self, targets, layers, *more):
        runs.clear()
        logits = through(self, targets, layers, *more)
        if layers[0]:
            assert runs == list(range(layers[0], loaded.n_layers))
        return logits

    monkeypatch.setattr(module.LonePatches, "through", counted)
    effects_of(loaded)


def test_the_noise_floor_is_the_largest_difference_of_what_is_equal():
    units = [
        UnitEffects(unit=number, kl=(), all_layers=together, prefix=prefix)
        for number, (together, prefix) in enumerate([(1.0, 1.5), (3.0, 1.0), (None, 9.0), (2.0, 2.0)])
    ]
    assert module._noise(units) == 2.0
    assert module._noise(units[2:3]) is None


@pytest.mark.parametrize("layer", [0, 1])
def test_a_random_patch_adds_vectors_of_the_patchs_norms(layer, monkeypatch):
    loaded, added = tiny("llama"), []
    difference = lone_patches.RowTokenPatch._difference

    def seen(self, target, present):
        made = difference(self, target, present)
        rows = (target - present).view(len(self.strengths), -1, present.shape[-1])
        added.append((self.differences.seeds, rows, made.view_as(rows)))
        return made

    monkeypatch.setattr(lone_patches.RowTokenPatch, "_difference", seen)
    monkeypatch.setattr(module, "rows_at_once", lambda *_: N_RANDOM)
    prompt = replace(PROMPT, query="abc")
    with torch.inference_mode():
        prepared = prepare_inputs(loaded, prompt, str(layer))
        measure_effects(loaded, prepared, MeasureEffects(prompt=prompt, layers=str(layer)), "packed")
    noises = [(wanted, made) for seeds, wanted, made in added if seeds is not None]
    assert noises
    full = [wanted for _, wanted, _ in added[:2]]  # of z, then of the residual stream
    for number, (wanted, made) in enumerate(noises):
        torch.testing.assert_close(wanted, full[number % 2].expand_as(wanted))
        torch.testing.assert_close(made.norm(dim=-1), wanted.norm(dim=-1))
        assert float(torch.cosine_similarity(made, wanted, dim=-1).abs().max()) < 0.9
        assert len({*made[:, 0, 0].tolist()}) == len(made), "each row has noise of its own"
