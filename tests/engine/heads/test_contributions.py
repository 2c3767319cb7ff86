"""δ split by heads and units: the parts against weights multiplied out by hand, their sum against δ measured apart."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from icltui.engine.heads import contributions, last_token
from icltui.engine.heads.contributions import head_contributions
from icltui.engine.measure.packing_check import choose_path
from icltui.engine.measure.run_prefixes import Plan, measure_prefixes
from icltui.engine.models.loaded_model import wrap_model
from icltui.engine.patch.exactness_at_load import check_at_load
from icltui.engine.prompts.tokenize import Ids
from icltui.values import HeadContributions, UnreadableLayer
from icltui.values.errors import BadInput
from icltui.zoo.tiny_model import build
from tests.engine.small_models import FAMILIES, make_tiny, make_tokenizer, tiny

IDS = Ids((0,), (17, 203, 88, 140, 9, 61, 5, 33), (70, 12, 199), (0, 1, 4, 8))
"""Units of one, three and four tokens."""
WINDOWED = ("mistral", "gemma3")


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def split(loaded, ids=IDS, path="packed") -> list[HeadContributions | UnreadableLayer]:
    return list(head_contributions(loaded, loaded.sites, ids, path))


@pytest.mark.parametrize("ids", [IDS, Ids((), IDS.context, IDS.query, IDS.ends)])
@pytest.mark.parametrize(
    ("family", "dtype"),
    [
        *((family, torch.float64) for family in FAMILIES),
        ("llama", torch.bfloat16),
        ("gemma3", torch.bfloat16),
    ],
)
def test_the_sum_over_heads_and_units_is_delta(family, dtype, ids):
    for part in split(tiny(family, dtype), ids):
        assert isinstance(part, HeadContributions), part
        # Attention's softmax is in float32 whatever the model is in.
        assert part.sum_error < 2e-6
        assert sum(map(sum, part.share)) == pytest.approx(1)
        assert part.head_share == pytest.approx([sum(row) for row in part.share])
        assert part.before_norm == (family in ("gemma3", "olmo2"))
        assert (len(part.share), len(part.share[0])) == (4, 3)


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in WINDOWED])
def test_a_model_whose_prefixes_are_not_packed_is_split_alike(family):
    for one, other in zip(split(tiny(family)), split(tiny(family), path="loop"), strict=True):
        assert other.sum_error < 2e-6
        assert [x for row in one.norm for x in row] == pytest.approx([x for row in other.norm for x in row])


def test_the_parts_are_the_weights_multiplied_out():
    loaded = tiny("gpt2")
    parts, last = split(loaded), len(IDS.full) - 1
    # Its hooks stay in a model that is asked for its states, and the tiny ones serve other tests too.
    states = deepcopy(loaded.model)(torch.tensor([IDS.full]), output_hidden_states=True).hidden_states
    for layer, block in enumerate(loaded.model.transformer.h):
        attention = block.attn
        qkv = block.ln_1(states[layer][0]) @ attention.c_attn.weight + attention.c_attn.bias
        q, k, v = (x.view(-1, 4, 6) for x in qkv.split(24, dim=-1))
        found = {}
        for h in range(4):
            scores = torch.stack([q[last, h] @ k[j, h] / 6**0.5 for j in range(last + 1)])
            alpha = scores.softmax(0)
            rest = [j for j in range(last + 1) if not 1 <= j <= 8]
            alone = sum(alpha[j] * v[j, h] for j in rest) / sum(alpha[j] for j in rest)
            for j in range(1, 9):
                unit = 0 if j == 1 else 1 if j < 5 else 2
                c = (alpha[j] * (v[j, h] - alone)) @ attention.c_proj.weight[6 * h : 6 * h + 6]
                before, seen = found.get((h, unit), (0, 0))
                found[h, unit] = before + c, seen + alpha[j]
        delta = sum(c for c, _ in found.values())
        assert parts[layer].delta_norm == pytest.approx(float(delta.norm()), rel=1e-9)
        for (h, unit), (c, seen) in found.items():
            assert parts[layer].share[h][unit] == pytest.approx(float(c @ delta / (delta @ delta)), abs=1e-9)
            assert parts[layer].norm[h][unit] == pytest.approx(float(c.norm()), rel=1e-9)
            assert parts[layer].attention[h][unit] == pytest.approx(float(seen), rel=1e-9)


@pytest.mark.parametrize("family", ["llama", "qwen3", "mistral", "gemma3", "mixtral"])
def test_each_head_brings_what_the_reference_takes_from_it(family):
    """Heads that share keys and values, and windows: what W_O reads in both runs, head by head."""
    loaded = tiny(family)
    whole = replace(IDS, prefix=(), context=(*IDS.prefix, *IDS.context), ends=(0, 9))
    seen: dict[int, list[torch.Tensor]] = {}
    handles = [
        block.self_attn.o_proj.register_forward_pre_hook(
            lambda _, args, layer=layer: seen.setdefault(layer, []).append(args[0][0, -1].clone())
        )
        for layer, block in enumerate(loaded.model.model.layers)
    ]
    list(measure_prefixes(loaded, loaded.sites, Plan(whole, "grow", "local", "keep"), "loop"))
    for handle in handles:
        handle.remove()
    for part in split(loaded, whole):
        matrix = loaded.model.model.layers[part.layer].self_attn.o_proj.weight
        # The passes: the contextual one; then full and empty, each free and under the reference.
        free, *_, alone = seen[part.layer]
        change = (free - alone).view(4, 6)
        for h in range(4):
            c = matrix[:, 6 * h : 6 * h + 6] @ change[h]
            assert part.norm[h][0] == pytest.approx(float(c.norm()), rel=1e-5)


KINDS = {
    "falcon": False,
    "gptj": False,
    "granite": False,
    "cohere": False,
    "gemma2": True,
    "qwen3_next": False,
    "afmoe": True,
}
"""Older code, parallel blocks, a factor on the branch, norms after it, gates; and whether a norm follows."""


def of_kind(*families: str) -> list:
    """Each family once, all but the first in the tier of families alone."""
    return [
        pytest.param(name, marks=[pytest.mark.zoo] * (number > 0)) for number, name in enumerate(families)
    ]


@pytest.mark.parametrize("family", of_kind("afmoe", *sorted(KINDS.keys() - {"afmoe"})))
def test_families_of_every_kind_add_up(family):
    loaded = check_at_load(wrap_model(build(family), make_tokenizer(), family))
    parts = split(loaded, path=choose_path(loaded)[0])
    whole = [part for part in parts if isinstance(part, HeadContributions)]
    assert whole
    assert all(part.sum_error < 2e-5 and part.before_norm == KINDS[family] for part in whole)
    others = [part.reason for part in parts if isinstance(part, UnreadableLayer)]
    assert set(others) <= {"no attention weights: it has linear attention or a state space"}


NO_SUMS = {
    "bitnet": "its attention does more to the values than weigh them",
    "opt-post-layernorm": "something else than its attention is added",
    "bloom": "takes no positions",
    "falcon_h1": "something else than its attention is added",
}


@pytest.mark.parametrize("family", of_kind(*NO_SUMS))
def test_what_is_no_sum_over_heads_says_why(family):
    says = NO_SUMS[family]
    loaded = check_at_load(wrap_model(build(family), make_tokenizer(), family))
    parts = split(loaded, path=choose_path(loaded)[0])
    assert all(isinstance(part, UnreadableLayer) and says in part.reason for part in parts), parts
    assert not any("\n" in part.reason for part in parts)


def test_a_learned_sink_keeps_its_share():
    loaded = wrap_model(build("gpt_oss"), make_tokenizer(), "gpt_oss")
    sizes = [part.sum_error for part in split(loaded) if isinstance(part, HeadContributions)]
    assert sizes
    assert min(sizes) < 2e-5, "as much of the rest of its weight as float32 holds"


@pytest.mark.parametrize("what", ["values", "weights"])
def test_a_wrong_part_is_found_by_the_sum(what, monkeypatch):
    real = last_token.attention_at_last

    def wrong(*args):
        found = real(*args)
        return {k: replace(of, **{what: getattr(of, what).flip(1)}) for k, of in found.items()}

    monkeypatch.setattr(contributions, "attention_at_last", wrong)
    assert all("misses δ by" in part.reason for part in split(tiny("llama")))


def test_the_context_is_never_read_with_all_its_weights(monkeypatch):
    loaded, shapes = make_tiny("llama"), []
    real = last_token._keep_last
    monkeypatch.setattr(
        last_token, "_keep_last", lambda kept, layer, w: (shapes.append(w.shape), real(kept, layer, w))
    )
    split(loaded)
    assert shapes == [(4, 1, 12)] * 3


def test_too_many_numbers_are_refused_before_the_work(monkeypatch):
    monkeypatch.setattr(contributions, "MOST_CELLS", 35)
    with pytest.raises(
        BadInput, match="4 heads, 3 units and 3 layers are 36 numbers: at most 35; use larger"
    ):
        split(tiny("llama"))
