"""The heuristic must be the change of one matrix that its formula says, for GPT-2 and for gated MLPs."""

import copy

import pytest
import torch

from icltui.engine.models.loaded_model import wrap_model
from icltui.engine.trial.batch import Batch
from icltui.engine.trial.row_heuristic import inner_direction, mean_unembedding, up_projection
from icltui.engine.trial.trial import trial
from icltui.values.trial import TrialPatch
from icltui.zoo import tiny_model
from tests.engine.dense_reference import DenseModel
from tests.engine.small_models import FAMILIES, make_tokenizer, tiny
from tests.engine.trial.test_trial import prompts

UP = {"gpt2": "c_fc", "llama": "up_proj", "gpt_neox": "dense_h_to_4h"}
DOWN = {"gpt2": "c_proj", "llama": "down_proj", "gpt_neox": "dense_4h_to_h"}


@pytest.mark.parametrize("family", UP)
def test_it_is_a_change_of_one_matrix(family):
    """Against a copy of the model whose matrix is changed for real, with every vector read by plain hooks."""
    loaded, layer, alpha = tiny(family), 1, -1.4
    patch = TrialPatch(rule="unembedding", layers=(layer,), alpha=alpha)
    with torch.inference_mode():
        batch = Batch(loaded, loaded.sites, prompts())
        made = batch.patched(patch).logits
        for row, prompt in enumerate(prompts()):
            dense = DenseModel(copy.deepcopy(loaded.model), FAMILIES[family])
            z_context = dense.run(prompt.ids.full, layer)[0][-1]
            z, v, _ = (part[-1] for part in dense.run(prompt.ids.plain, layer))
            mlp = dense.blocks[layer].mlp
            up, down = (getattr(mlp, names[family]).weight for names in (UP, DOWN))
            up, down = (up.T, down.T) if family == "gpt2" else (up, down)
            u = down.T @ dense.model.get_output_embeddings().weight.mean(0)
            norm = (up @ (z_context - z)).norm() / z.norm()
            up += alpha * norm * torch.outer(u / u.norm(), v / v.norm())
            wanted = dense.run([*prompt.ids.plain, *prompt.forced], 0)[2][-3:]
            assert (made[row] - wanted).abs().max() < 1e-9 * wanted.abs().max()
            assert (made[row] - batch.plain[0][row]).abs().max() > 1e-4


def test_it_takes_the_better_sign():
    loaded = tiny("llama")
    asked = [TrialPatch(rule="unembedding", layers=(1,), alpha="search")]
    found = {result.patches[0].alpha > 0: result for result in trial(loaded, prompts(), asked)}
    for result in found.values():
        score = result.patches[0]
        opposite = TrialPatch(rule="unembedding", layers=(1,), alpha=-score.alpha)
        (again,) = trial(loaded, [prompts()[result.index]], [opposite])
        assert score.centred_mse <= again.patches[0].centred_mse
        assert score.centred_mse <= result.plain.centred_mse


def test_a_gpt_2_of_the_zoo_has_what_it_needs():
    loaded = wrap_model(tiny_model.build("gpt2"), make_tokenizer(), "gpt2")
    site = loaded.sites[0]
    assert up_projection(site).name == "c_fc"
    with torch.inference_mode():
        direction = inner_direction(site, mean_unembedding(loaded.model))
        wanted = site.block.mlp.c_proj.weight @ loaded.model.lm_head.weight.mean(0)
    assert torch.allclose(direction, wanted)


def test_experts_have_no_heuristic():
    results = list(trial(tiny("mixtral"), prompts(), [TrialPatch(rule="unembedding", layers=(0,))]))
    assert all("projection, which the heuristic needs" in result.error for result in results)
