"""Scores of heads against attention that a model hands over whole, and against a head built by hand."""

import gc
import weakref
from copy import deepcopy

import pytest
import torch

from icltui.engine.heads import read_attention, repeated_tokens
from icltui.engine.heads.read_attention import reading_attention
from icltui.engine.heads.repeated_tokens import prefix_matching
from icltui.engine.measure.forward_pass import forward
from icltui.engine.models.loaded_model import wrap_model
from icltui.values.errors import BadInput
from icltui.zoo.tiny_model import build
from tests.engine.heads.hand_built import hand_built
from tests.engine.small_models import FAMILIES, make_tiny, make_tokenizer, tiny

N = 6


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def whole_attentions(model, row: list[int]) -> list[torch.Tensor]:
    """Every layer's weights, as the model's own option gives them, all at once."""
    model = deepcopy(model)  # which the hooks of this option stay in
    model.set_attn_implementation("eager")
    return model(torch.tensor([row]), output_attentions=True, use_cache=False).attentions


def slow_scores(weights: torch.Tensor, n_prefix: int, tokens: list[int]) -> tuple[list[float], list[float]]:
    """Induction and previous-token score of each head, token by token; ``tokens`` are those after the prefix."""
    n = len(tokens) // 2
    induction, previous = [], []
    for head in weights[0]:
        found = []
        for i in range(n, 2 * n):
            (earlier,) = (j for j in range(i) if tokens[j] == tokens[i])
            found.append(float(head[n_prefix + i, n_prefix + earlier + 1]))
        induction.append(sum(found) / n)
        before = [float(head[n_prefix + i, n_prefix + i - 1]) for i in range(1, 2 * n)]
        previous.append(sum(before) / len(before))
    return induction, previous


def rows_that_ran(monkeypatch) -> list[list[int]]:
    rows: list[list[int]] = []
    real = repeated_tokens.forward
    monkeypatch.setattr(
        repeated_tokens,
        "forward",
        lambda model, ids, **kw: (rows.append(list(ids)), real(model, ids, **kw))[1],
    )
    return rows


@pytest.mark.parametrize("prefix", [(0,), ()])
@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_those_of_the_attention_that_the_model_hands_over(family, prefix, monkeypatch):
    loaded, rows = tiny(family), rows_that_ran(monkeypatch)
    found = prefix_matching(loaded, prefix, n_random=N, n_seeds=2, seed=5)
    assert (found.unreadable, found.n_random) == ((), N)
    repeated = [row for row in rows if len({*row[len(prefix) :]}) == N]
    different = [row for row in rows if len({*row[len(prefix) :]}) == 2 * N]
    assert (len(repeated), len(different)) == (2, 2)
    for number, row in enumerate(repeated):
        tokens = row[len(prefix) :]
        assert tokens[:N] == tokens[N:] == different[number][len(prefix) :][:N]
        for layer, weights in enumerate(whole_attentions(loaded.model, row)):
            assert weights.shape[1] == 4, "query heads, also where they share keys and values"
            induction, previous = slow_scores(weights, len(prefix), tokens)
            assert found.induction[layer][number].tolist() == pytest.approx(induction, abs=1e-9)
            assert found.previous[layer][number].tolist() == pytest.approx(previous, abs=1e-9)
    for number, row in enumerate(different):
        for layer, weights in enumerate(whole_attentions(loaded.model, row)):
            as_if = [*repeated[number][len(prefix) :]]
            assert found.null[layer][number].tolist() == pytest.approx(
                slow_scores(weights, len(prefix), as_if)[0], abs=1e-9
            )


def test_a_head_built_by_hand_is_found_and_no_other():
    found = prefix_matching(hand_built(), n_random=20, n_seeds=3)
    assert found.induction[1].min() > 0.99
    assert found.previous[0].min() > 0.99
    for low in (found.induction[0], found.previous[1], found.null[1]):
        assert low.max() < 3 * found.chance


@pytest.mark.parametrize(
    "family", ["falcon", "bloom", "gptj", "gpt_oss", "gemma2", "qwen3_next", "falcon_h1"]
)
def test_families_of_every_kind_of_code_are_read(family):
    loaded = wrap_model(build(family), make_tokenizer(), family)
    found = prefix_matching(loaded, (0,), n_random=3, n_seeds=1)
    row = []
    with pytest.MonkeyPatch.context() as patch:
        rows = rows_that_ran(patch)
        prefix_matching(loaded, (0,), n_random=3, n_seeds=1)
        row = rows[0]
    weights = whole_or_asked(loaded.model, row)
    has_weights = [layer for layer in range(loaded.n_layers) if layer not in found.unreadable]
    assert len(has_weights) == len(weights)
    assert has_weights
    for layer, of in zip(has_weights, weights, strict=True):
        induction, previous = slow_scores(of, 1, row[1:])
        assert found.induction[layer][0].tolist() == pytest.approx(induction, abs=1e-6)
        assert found.previous[layer][0].tolist() == pytest.approx(previous, abs=1e-6)


def whole_or_asked(model, row: list[int]) -> list[torch.Tensor]:
    if model._can_set_attn_implementation():
        return [w for w in whole_attentions(model, row) if w is not None]
    return list(deepcopy(model)(torch.tensor([row]), output_attentions=True, use_cache=False).attentions)


def test_layers_without_attention_are_told():
    loaded = wrap_model(build("qwen3_next"), make_tokenizer(), "qwen3_next")
    found = prefix_matching(loaded, (0,), n_random=3, n_seeds=1)
    linear = [i for i, kind in enumerate(loaded.model.config.layer_types) if kind == "linear_attention"]
    assert linear
    assert list(found.unreadable) == linear


def test_a_window_shorter_than_the_distance_is_told():
    found = prefix_matching(tiny("gemma3"), (0,), n_random=10, n_seeds=1)  # windows of 5 in layers 0 and 2
    assert found.out_of_reach == (0, 2)
    assert prefix_matching(tiny("gemma3"), (0,), n_random=4, n_seeds=1).out_of_reach == ()


def test_no_more_than_one_layer_of_attention_is_in_memory():
    loaded, alive, most = tiny("llama"), [], 0

    def take(_layer: int, weights: torch.Tensor) -> None:
        nonlocal most
        alive.append(weakref.ref(weights.untyped_storage()))
        most = max(most, sum(ref() is not None for ref in alive))

    with reading_attention(loaded, take) as arguments:
        forward(loaded.model, [0, *range(5, 30)], **arguments)
    gc.collect()
    assert len(alive) == 3
    assert most <= 2, "the layer before may be freed only when the next is made"
    assert not any(ref() is not None for ref in alive)


@pytest.mark.parametrize("fails", [True, False])
def test_the_model_has_its_own_way_again(fails):
    loaded = make_tiny("llama")
    loaded.model.set_attn_implementation("sdpa")
    before = forward(loaded.model, [0, 5, 6, 7])

    def take(_layer: int, _weights: torch.Tensor) -> None:
        if fails:
            raise KeyboardInterrupt

    try:
        with reading_attention(loaded, take) as arguments:
            forward(loaded.model, [0, 5, 6, 7], **arguments)
    except KeyboardInterrupt:
        assert fails
    assert loaded.model.config._attn_implementation == "sdpa"
    assert not any(module._forward_hooks for module in loaded.model.modules())
    torch.testing.assert_close(forward(loaded.model, [0, 5, 6, 7]), before, rtol=0, atol=0)


def test_random_tokens_are_text_and_the_seed_decides(monkeypatch):
    loaded, rows = tiny("llama"), rows_that_ran(monkeypatch)
    once = prefix_matching(loaded, n_random=30, n_seeds=2, seed=1)
    special = loaded.tokenizer.all_special_ids
    for row in rows:
        assert row[0] in special
        assert not {*row[1:]} & {*special}
        assert max(row) < len(loaded.tokenizer)
    again = prefix_matching(loaded, n_random=30, n_seeds=1, seed=2)
    torch.testing.assert_close(again.induction[0][0], once.induction[0][1], rtol=0, atol=0)
    assert rows[0] != rows[2]


def test_a_model_that_reads_fewer_tokens_repeats_fewer():
    assert prefix_matching(tiny("llama"), (0,), n_random=50, n_seeds=1).n_random == 31  # it reads 64


@pytest.mark.parametrize(
    ("asked", "says"),
    [({"n_random": 1}, "1 random tokens"), ({"n_random": 513}, "2 to 512"), ({"n_seeds": 0}, "1 to 256")],
)
def test_what_cannot_be_asked_is_one_line(asked, says):
    with pytest.raises(BadInput, match=says):
        prefix_matching(tiny("llama"), **asked)


def test_weights_are_told_from_other_results():
    assert read_attention._are_weights(torch.eye(3).expand(1, 2, 3, 3))
    assert not read_attention._are_weights(torch.randn(1, 2, 3, 3))
    assert not read_attention._are_weights(torch.ones(1, 2, 3, 3))
    assert not read_attention._are_weights(torch.zeros(1, 2, 3, 3, dtype=torch.long))
