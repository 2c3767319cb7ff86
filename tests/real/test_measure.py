"""Every measure: packed against the loop, and against one plain forward pass per prefix, summed in float64."""

from dataclasses import dataclass

import msgspec
import pytest
import torch

from icltui.api import run_to_result
from icltui.api.messages import Measure
from icltui.replay.compare import compare
from icltui.values import Row
from tests.real.conftest import CAPITALS, WORDS

pytestmark = pytest.mark.real
SHORT = msgspec.structs.replace(CAPITALS, context="The capital of France is Rome.")


KEEP = msgspec.structs.replace(SHORT, positions="keep")
LINES = msgspec.structs.replace(WORDS, unit="line")


@pytest.mark.parametrize(
    ("prompt", "dynamics", "reference"),
    [(SHORT, "grow", "free"), (LINES, "grow", "free"), (KEEP, "drop", "local"), (KEEP, "shrink", "local")],
    ids=["tokens", "lines", "drop", "shrink"],
)
def test_packed_prefixes_measure_what_single_ones_do(prompt, dynamics, reference, engine, monkeypatch):
    """All numbers of all units, layers, pairs and predictions, within what float32 rounds."""
    request = Measure(prompt=prompt, dynamics=dynamics, reference=reference, pairs=True)
    packed = run_to_result.measure(engine, request)
    monkeypatch.setattr(engine, "info", msgspec.structs.replace(engine.info, path="loop"))
    loop = run_to_result.measure(engine, request)
    assert (packed.path, loop.path) == ("packed", "loop")
    if reference == "local":
        # Packed, predictions would each take a pass of their own, and there are none.
        assert packed.predictions == ()
        loop = msgspec.structs.replace(loop, predictions=())
    found = compare("measurement", packed, loop, "float32")
    assert found.same, found
    assert found.n_numbers > 10 * 30 * len(packed.tokens.units)


@dataclass
class Prefix:
    """One prefix by a plain forward pass: z, v and g of the last token at each layer, and log-probabilities."""

    z: torch.Tensor
    v: torch.Tensor
    g: torch.Tensor
    log_p: torch.Tensor


@torch.no_grad()
def run(model, ids):
    """A forward pass of Hugging Face's model, with hooks of torch alone."""
    z, v, g, handles = [], [], [], []

    def norm_hook(_, args, out):
        v.append(args[0][0, -1])
        z.append(out[0, -1])

    def down_hook(_, args):
        g.append(args[0][0, -1])

    for layer in model.model.layers:
        handles.append(layer.post_attention_layernorm.register_forward_hook(norm_hook))
        handles.append(layer.mlp.down_proj.register_forward_pre_hook(down_hook))
    logits = model(torch.tensor([ids]), use_cache=False).logits[0, -1]
    for handle in handles:
        handle.remove()
    return Prefix(*(torch.stack(part).double() for part in (z, v, g)), logits.double().log_softmax(-1))


def cosine(a, b):
    return float(a @ b / (a.norm() * b.norm()))


def expected(layer, weights, now, before, first, earlier):
    """The row of a unit at one layer under *grow*: ``before`` and ``earlier`` are one and two prefixes ago."""
    stacked = torch.cat(list(weights.values()))
    z, z_before, z_first = now.z[layer], before.z[layer], first.z[layer]
    delta, u = z - z_before, stacked @ (z - z_before)
    p, p_before = stacked @ z, stacked @ z_before
    whole = float(stacked.norm())
    found = {
        "z_norm": z.norm(),
        "learning_rate": 1 / z.norm() ** 2,
        "net_patch_norm": (stacked @ (z - z_first)).norm() / z_first.norm(),
        "delta_norm": delta.norm(),
        "shift_norm": (now.v[layer] - before.v[layer]).norm(),
        "patch_norm": u.norm() / z_first.norm(),
        "relative_patch_norm": u.norm() / z_first.norm() / whole,
        "output_patch_norm": (now.v[layer] - before.v[layer]).norm() / now.g[layer].norm(),
        "amplification": (u.norm() / delta.norm()) / (whole / len(z) ** 0.5),
        "implicit_loss": -(p - p_before) @ p_before,
        "half_step_square": 0.5 * u.norm() ** 2,
    }
    if earlier is not None:
        last = z_before - earlier.z[layer]
        found["cosine_previous"] = cosine(delta, last)
        found["update_cosine_previous"] = cosine(u, stacked @ last)
        found["transfer_previous"] = (u - stacked @ last).norm() / u.norm()
    found["matrix_norms"] = {name: float((w @ delta).norm() / z_first.norm()) for name, w in weights.items()}
    return found


def test_each_number_is_that_of_one_forward_pass_for_each_prefix(engine):
    measured = run_to_result.measure(engine, Measure(prompt=SHORT))
    model, ids = engine.loaded.model, measured.tokens.ids
    prefixes = [run(model, [*ids.prefix, *ids.context[:n], *ids.query]) for n in range(len(ids.context) + 1)]
    rows = {(row.unit, row.layer): row for row in measured.rows}
    assert len(rows) == len(prefixes) * 30
    compared = set()
    for layer, block in enumerate(model.model.layers):
        names = ("gate_proj", "up_proj")
        weights = {name: getattr(block.mlp, name).weight.detach().double() for name in names}
        path = 0.0
        for unit in range(1, len(prefixes)):
            earlier = prefixes[unit - 2] if unit > 1 else None
            want = expected(layer, weights, prefixes[unit], prefixes[unit - 1], prefixes[0], earlier)
            path += float(want["patch_norm"])
            got = rows[unit, layer]
            # z is known to 1e-5 of its length in float32, and so δ to 1e-5 ‖z‖/‖δ‖ of its own.
            noise = 1e-5 * max(1.0, float(want["z_norm"]) / float(want["delta_norm"]))
            # A cosine is of 1, and −dp·p of ‖dp‖ ‖p‖, however near to 0 they are.
            size = float((torch.cat(list(weights.values())) @ prefixes[unit - 1].z[layer]).norm())
            scales = {"cosine_previous": 1.0, "update_cosine_previous": 1.0}
            scales["implicit_loss"] = float((2 * want["half_step_square"]) ** 0.5) * size
            for name, value in {**want, "cumulative_patch_norm": path}.items():
                compared.add(name)
                if name == "matrix_norms":
                    assert list(got.matrix_norms) == list(value)
                    assert list(got.matrix_norms.values()) == pytest.approx(
                        list(value.values()), rel=20 * noise
                    )
                else:
                    scale = scales.get(name, abs(float(value)))
                    assert abs(getattr(got, name) - float(value)) <= 20 * noise * scale, (name, unit, layer)
    assert compared == {*Row.__struct_fields__} - {"unit", "layer", "delta_noise"}


def test_each_prediction_is_that_of_one_forward_pass_for_each_prefix(engine):
    measured = run_to_result.measure(engine, Measure(prompt=SHORT))
    ids = measured.tokens.ids
    full = run(engine.loaded.model, [*ids.prefix, *ids.context, *ids.query]).log_p
    for prediction in measured.predictions:
        log_p = run(engine.loaded.model, [*ids.prefix, *ids.context[: prediction.unit], *ids.query]).log_p
        top = log_p.topk(5)
        assert [c.token.id for c in prediction.top] == top.indices.tolist()
        assert [c.probability for c in prediction.top] == pytest.approx(top.values.exp().tolist(), rel=1e-3)
        assert prediction.entropy == pytest.approx(float(-(log_p.exp() * log_p).sum()), rel=1e-4)
        kl = float((full.exp() * (full - log_p)).sum())
        assert prediction.kl_to_full == pytest.approx(kl, rel=1e-3, abs=1e-6)
