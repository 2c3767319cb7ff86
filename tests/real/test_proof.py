"""The proof at load and on prompts: every layer, in float32 and bfloat16, beside controls and wrong patches."""

import msgspec
import pytest

from icltui.api import run_to_result
from icltui.api.messages import Verify
from icltui.engine.patch.patch import TokenPatch
from icltui.zoo import real_model
from icltui.zoo.examine import N_TOKENS, examine_members
from tests.real.conftest import CAPITALS, PROMPTS

pytestmark = pytest.mark.real
N_LAYERS = 30


@pytest.mark.parametrize("dtype", ["engine", "half"])
def test_every_layer_is_usable_and_prefixes_are_packed(dtype, request):
    info = request.getfixturevalue(dtype).info
    assert (info.n_layers, info.refused, info.path) == (N_LAYERS, (), "packed")


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, "engine") for name in PROMPTS), ("capitals", "half"), ("words", "half")]
)
def test_the_patch_is_exact_on_every_layer(name, dtype, request):
    proof = run_to_result.verify(request.getfixturevalue(dtype), Verify(prompt=PROMPTS[name]))
    assert (proof.ok, proof.caveat, proof.undone) == (True, "", True)
    assert [check.layer for check in proof.layers] == list(range(N_LAYERS))
    for check in proof.layers:
        assert check.rank == 1
        for error, limits in (
            (check.mlp_error, check.limits["mlp"]),
            (check.identity_error, check.limits["identity"]),
            (check.block_error, check.limits["block"]),
        ):
            assert error <= limits.allowed < 0.1 * limits.effect, (
                "an empty patch would miss by ten times more"
            )
    for control in (proof.logits["plain"], *proof.controls.values()):
        assert control.linf > 10 * proof.allowed * proof.logit_scale


@pytest.mark.parametrize(
    ("layers", "positions"), [("all", "keep"), ("last", "reset"), ("3", "keep"), ("0,10,20", "reset")]
)
def test_some_layers_and_kept_positions_are_exact_too(layers, positions, engine):
    prompt = msgspec.structs.replace(CAPITALS, positions=positions)
    assert run_to_result.verify(engine, Verify(prompt=prompt, layers=layers)).ok


def test_a_context_of_five_hundred_tokens_is_exact_too(engine):
    days = (f"On day {n} the ship sailed {7 * n % 90} miles to the north west." for n in range(40))
    text = " ".join(days)
    prompt = msgspec.structs.replace(CAPITALS, context=text, query=" On the last day the ship")
    proof = run_to_result.verify(engine, Verify(prompt=prompt))
    assert len(proof.ids.context) > 500
    assert proof.ok


@pytest.mark.parametrize("layer", [0, 29])
def test_a_shift_off_by_one_in_a_thousand_at_one_layer_is_caught(layer, engine, monkeypatch):
    shift = TokenPatch.shift

    def wrong(self, at):
        right = shift(self, at)
        return right if right is None or at != layer else 1.001 * right

    monkeypatch.setattr(TokenPatch, "shift", wrong)
    proof = run_to_result.verify(engine, Verify(prompt=CAPITALS))
    assert not proof.ok
    assert proof.caveat.startswith(f"at layer {layer} the block misses by ")
    missing = [c.layer for c in proof.layers if not c.block_error <= c.limits["block"].allowed]
    assert missing == [layer], "each block is handed what entered it in the right run"


def test_the_zoo_s_row_of_it_is_exact(gguf):
    assert gguf.is_file()
    (row,) = examine_members([real_model.NAME])
    assert (row.n_layers, row.n_exact, row.n_refused) == (N_LAYERS, N_LAYERS, 0)
    assert (row.undone, row.path, row.n_said, row.is_real) == (True, "packed", N_TOKENS, True)
