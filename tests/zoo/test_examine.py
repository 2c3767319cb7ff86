"""The zoo on tiny random models: exact where it says so, a number or a reason where it is not."""

import msgspec
import pytest
import torch
from transformers import ExaoneMoeConfig, Gemma3TextConfig, LlamaConfig

from icltui.engine.patch.exactness_at_load import TOLERANCES
from icltui.values import ZooRow
from icltui.values.errors import BadInput
from icltui.zoo import real_model, tiny_model
from icltui.zoo.examine import EXACT, N_TOKENS, examine_members, holds, resolve_members
from icltui.zoo.families import CHANGES, LAYERS, LEFT_OUT, SITE_PATHS, VARIANTS, VOCABULARY, WRAPPERS

NAMED = (
    "gpt2 gptj gpt_neox opt bloom falcon phi phi3 llama mistral qwen2 qwen3 gemma gemma2 gemma3_text gemma4_text "
    "olmo2 olmo3 stablelm starcoder2 cohere granite smollm3 glm4 mixtral qwen3_moe olmoe gpt_oss deepseek_v3 "
    "llama4_text qwen3_5_text lfm2"
).split()
"""The families that the README promises."""
KINDS = frozenset("gpt2 phi bloom llama gemma3_text gpt_oss qwen3_5_text deepseek_v3".split())
"""One of each kind: transposed weights, parallel blocks, ALiBi, gated, norms behind, experts, linear attention, and
layers of two kinds. The others, and all that the README does not name, are ``pytest -m zoo``."""


def row_of(member: str) -> ZooRow:
    (row,) = examine_members([member])
    return row


@pytest.mark.parametrize(
    "member", [pytest.param(name, marks=() if name in KINDS else pytest.mark.zoo) for name in NAMED]
)
def test_a_promised_family_is_exact_on_every_layer(member: str) -> None:
    row = row_of(member)
    assert (row.n_exact, row.n_refused) == (LAYERS, 0)
    assert row.n_layers == LAYERS
    assert row.mlp_error is not None
    assert row.block_error is not None
    assert max(row.mlp_error, row.block_error) <= EXACT
    assert row.mlp_error_bfloat16 is not None
    assert row.block_error_bfloat16 is not None
    assert max(row.mlp_error_bfloat16, row.block_error_bfloat16) <= TOLERANCES[torch.bfloat16]
    assert row.logit_error is not None
    assert row.logit_error <= 1e-5
    assert row.undone
    assert row.n_said == N_TOKENS, "a patch per step says what the context says"
    assert holds(row)
    assert row.path == "packed" or row.notes


@pytest.mark.zoo
@pytest.mark.timeout(0)
def test_every_other_family_is_exact_or_refused_with_the_reason() -> None:
    others = [member for member in tiny_model.members() if member not in NAMED]
    assert [row.family for row in examine_members(others) if not holds(row)] == []


def test_a_family_without_an_mlp_is_refused_with_the_reason() -> None:
    row = row_of("mamba")
    assert (row.n_layers, row.n_exact, row.mlp_error, row.path) == (0, 0, None, None)
    assert "cannot be explored" in row.notes[0]


def test_a_family_that_cannot_be_exact_says_so_with_the_number() -> None:
    row = row_of("gemma3n_text")
    assert 0 < row.n_exact < row.n_layers
    assert row.mlp_error is not None
    assert row.mlp_error <= EXACT
    assert row.block_error is not None
    assert row.block_error > 1e-2
    assert f"{row.block_error:.1e}" in row.notes[0]
    assert row.notes[0].startswith(f"layers {row.n_exact}-{row.n_layers - 1}: ")
    assert holds(row)


def test_a_place_named_by_hand_is_said_as_the_option_that_names_it() -> None:
    row = row_of("biogpt")
    assert row.n_exact == LAYERS
    assert row.notes[-1].startswith("with --site block=biogpt.layers.{layer} --site mlp=")


def test_what_cannot_be_built_is_a_row_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ImportError("no such kernel")

    monkeypatch.setattr("icltui.zoo.examine.build", refuse)
    row = row_of("llama")
    assert (row.model_class, row.n_layers) == ("", 0)
    assert row.notes == ("cannot be built: ImportError: no such kernel",)


def test_threads_and_random_numbers_of_the_caller_are_left_alone() -> None:
    torch.manual_seed(5)
    expected, threads = torch.rand(3), torch.get_num_threads()
    torch.manual_seed(5)
    row_of("gpt2")
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_a_row_holds_when_each_layer_is_exact_or_refused_and_nothing_is_left_behind() -> None:
    row = ZooRow(family="x", model_class="X", n_layers=4, n_exact=3, n_refused=1, undone=True)
    assert holds(row)
    assert holds(ZooRow(family="x", model_class="X"))
    assert not holds(msgspec.structs.replace(row, n_refused=0))
    assert not holds(msgspec.structs.replace(row, undone=False))


def test_the_zoo_has_every_type_once_and_the_variants_beside_it() -> None:
    members = tiny_model.members()
    assert list(members) == sorted(set(members))
    assert len(members) > 80
    assert {*NAMED, *VARIANTS, *WRAPPERS, "mamba", "gemma3n_text"} <= set(members)
    assert not LEFT_OUT & set(members)
    assert "gpt-sw3" not in members  # another name of gpt2
    assert "qwen3_5" not in members  # makes the same model as its text config


def test_no_data_is_about_a_family_that_the_zoo_does_not_have() -> None:
    types = set(tiny_model.members())
    assert set(SITE_PATHS) <= types
    assert set(CHANGES) <= types


def test_a_member_is_the_same_small_model_each_time() -> None:
    first, second = tiny_model.build("qwen3_moe"), tiny_model.build("qwen3_moe")
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert sum(p.numel() for p in first.parameters()) < 1_000_000
    assert not any((p == 0).all() for p in first.parameters())
    assert not first.training
    assert {p.dtype for p in tiny_model.build("gpt2", torch.bfloat16).parameters()} == {torch.bfloat16}


def test_every_kind_of_layer_is_kept_in_order() -> None:
    types = tiny_model.shrink(Gemma3TextConfig, {}).layer_types
    assert len(types) == LAYERS
    assert set(types) == {"sliding_attention", "full_attention"}
    mixed = tiny_model.shrink(ExaoneMoeConfig, {})
    assert set(zip(mixed.layer_types, mixed.mlp_layer_types, strict=True)) == {
        ("sliding_attention", "dense"),
        ("sliding_attention", "sparse"),
        ("full_attention", "sparse"),
    }


def test_sizes_shrink_where_a_config_has_them_and_changes_come_last() -> None:
    config = tiny_model.shrink(LlamaConfig, {"num_hidden_layers": 2})
    assert (config.vocab_size, config.num_hidden_layers, config.num_attention_heads) == (VOCABULARY, 2, 4)
    assert not hasattr(config, "num_experts")


def test_members_are_asked_for_by_name() -> None:
    assert resolve_members(["llama", "gpt2", "llama"]) == ("llama", "gpt2")
    assert resolve_members([]) == (*tiny_model.members(), real_model.NAME)
    with pytest.raises(BadInput, match=r"family 'lama' is not in the zoo: perhaps .*llama"):
        resolve_members(["lama"])
    with pytest.raises(BadInput, match="without --family the table names them all"):
        resolve_members(["?"])
