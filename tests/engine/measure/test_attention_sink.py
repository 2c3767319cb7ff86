"""A sink made on purpose is found, where it is; what is none is not; and nothing odd of a model breaks its load."""

from dataclasses import replace

import pytest
import torch

from icltui.api.messages import LoadModel, ModelLoaded
from icltui.engine.local import LocalEngine
from icltui.engine.measure.attention_sink import RATIO, find_sink, norm_ratios
from icltui.engine.measure.packing_check import sample_ids
from icltui.engine.models.loaded_model import wrap_model
from icltui.storage.paths import MODEL_DIR
from tests.engine.small_models import FAMILIES, make_tiny, make_tokenizer, tiny


def with_sink(family: str = "gpt2", dtype: torch.dtype = torch.float32, factor: float = 400.0):
    """A random model whose first position has a residual stream far larger than the others', by its position alone."""
    loaded = make_tiny(family, dtype)
    loaded.model.transformer.wpe.weight.data[0] *= factor
    return loaded


def seen_by_norms(loaded) -> list[torch.Tensor]:
    """The input of each block's second norm, by hooks of torch's own, in float64."""
    model, seen = loaded.model.double(), []
    handles = [
        block.ln_2.register_forward_pre_hook(lambda _, args: seen.append(args[0][0]))
        for block in model.transformer.h
    ]
    model(torch.tensor([sample_ids(loaded, n_context=14, n_query=1).full]))
    for handle in handles:
        handle.remove()
    return seen


def ratio_of(v: torch.Tensor) -> float:
    first, *others = (float(token.square().sum().sqrt()) for token in v)
    return first / sorted(others)[(len(others) - 1) // 2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_position_made_to_be_a_sink_is_found(dtype):
    loaded = with_sink(dtype=dtype)
    sink = find_sink(loaded)
    assert sink is not None
    assert (sink.position, sink.layers) == (0, (0, 1, 2))
    assert sink.ratio == pytest.approx(max(map(ratio_of, seen_by_norms(loaded))), rel=1e-2)


@pytest.mark.parametrize("family", FAMILIES)
def test_random_models_of_every_family_have_none(family):
    """Parallel blocks, mixtures of experts, sliding windows and post-norm among them."""
    assert find_sink(tiny(family, torch.float32)) is None


def test_only_the_layers_that_show_it_are_named():
    loaded = with_sink()
    assert find_sink(replace(loaded, sites=loaded.sites[1:])).layers == (1, 2)


def test_a_ratio_is_of_the_first_token_to_the_median():
    v = torch.tensor([[[3.0, 4.0], [1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], [[0.0, 0.0]] * 4])
    assert norm_ratios(v).tolist() == [5.0, 0.0]
    pair = torch.tensor([[[3.0, 4.0], [2.0, 0.0], [1.0, 0.0]]])
    assert norm_ratios(pair).tolist() == [5.0], "the first is none of the others"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_no_sink(value):
    loaded = make_tiny("gpt2", torch.float32)
    loaded.model.transformer.wpe.weight.data[0] = value
    assert find_sink(loaded) is None


@pytest.mark.parametrize("n_positions", [1, 2, 3, 8])
def test_a_window_of_a_few_tokens(n_positions):
    loaded = with_sink()
    assert (find_sink(replace(loaded, window=n_positions)) is None) == (n_positions < 3)


def test_positions_fewer_than_the_config_tells():
    config = FAMILIES["gpt2"].config()
    config.n_positions = 8
    model = type(make_tiny("gpt2").model)(config)
    assert find_sink(replace(wrap_model(model, make_tokenizer(), "gpt2"), window=None)) is None


def test_the_limit_lies_between_models_with_and_without():
    """The largest of the sinkless real models is at 3.4, the least at which δ outweighs nine other tokens' at 10."""
    at_limit = with_sink()
    found = find_sink(at_limit)
    weight = at_limit.model.transformer.wpe.weight.data
    weight[0] *= 0.5 * RATIO / found.ratio
    assert find_sink(at_limit) is None


def test_a_loaded_model_says_what_it_has(tmp_path):
    loaded = with_sink()
    loaded.model.save_pretrained(tmp_path)
    loaded.tokenizer.save_pretrained(tmp_path)
    engine = LocalEngine()
    (ended,) = (
        event
        for event in engine.run(LoadModel(model=str(tmp_path)), lambda: False)
        if isinstance(event, ModelLoaded)
    )
    assert ended.model.sink == engine.loaded.sink == find_sink(engine.loaded)
    assert ended.model.sink is not None


def test_the_embedded_model_has_none():
    engine = LocalEngine()
    list(engine.run(LoadModel(model=str(MODEL_DIR)), lambda: False))
    assert engine.info.sink is None
