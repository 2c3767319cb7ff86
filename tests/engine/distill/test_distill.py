"""Distilling by gradient: the gradient against dense matrices, what training wins, what it must leave alone."""

from dataclasses import replace

import pytest
import torch

from icltui.engine.distill.distill import WINDOW, TrainingLimits, _Batch, distill, is_plateau
from icltui.engine.distill.lora import make_lora
from icltui.engine.patch.calibration import logits_without_context
from icltui.engine.patch.fit import FittedTokens
from icltui.values.errors import BadInput
from tests.engine.dense_reference import DenseModel
from tests.engine.patch.test_build import IDS, OTHER, THIRD, compiled
from tests.engine.patch.test_patch import hooks_left
from tests.engine.small_models import FAMILIES, attribute, tiny

pytestmark = pytest.mark.soak

LIMITS = TrainingLimits(learning_rates=(1e-2,), max_steps=45)


@pytest.fixture(scope="module")
def fitted() -> dict[str, tuple[FittedTokens, ...]]:
    """The tokens of three queries of unequal lengths, by family."""
    made = {}
    for family in ("llama", "gpt2"):
        tiny(family)  # no tensor made in inference mode can be differentiated
        with torch.inference_mode():
            made[family] = compiled(family, n_fitted=2, queries=(IDS, OTHER, THIRD), ridge=1e-4).fitted
    return made


def densely(family, lora):
    """The model's copy with W + B A for every W, differentiable in A and B; parts by hand-written names."""
    where = FAMILIES[family]
    dense = DenseModel(tiny(family).model, where)
    for matrix in lora.matrices:
        mlp = attribute(dense.blocks[matrix.layer], where.mlp)
        path = where.down if matrix.name == "down" else matrix.name
        module = attribute(mlp, path)
        change = matrix.b @ matrix.a
        whole = module.weight.detach() + (change.T if where.transposed else change)
        del module.weight
        module.weight = whole
    return dense.model


def loss_of(model, fitted):
    """Mean KL over all scored tokens, one row at a time."""
    kls = []
    for part in fitted:
        n = part.n_continuation + 1
        logits = model(torch.tensor([part.row]), use_cache=False).logits[0, -n:]
        p = part.passage.logits[:n].clone().softmax(-1)
        kls.append((p * (p.log() - logits.log_softmax(-1))).sum(-1))
    return torch.cat(kls).mean()


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_gradient_is_that_of_dense_matrices(family, fitted):
    loaded = tiny(family)
    lora = make_lora(loaded.sites, 3, 0, torch.float64)
    names = {matrix.name for matrix in lora.matrices}
    assert names == {"down", *(name.removesuffix(".weight") for name in FAMILIES[family].matrices)}
    noise = torch.Generator().manual_seed(1)
    for parameter in lora.parameters:
        parameter += 0.1 * torch.randn(parameter.shape, generator=noise, dtype=torch.float64)
        parameter.requires_grad_(True)
    with lora.acting():
        ours = _Batch(loaded, fitted[family]).loss()
    theirs = loss_of(densely(family, lora), fitted[family])
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-9)
    for got, wanted in zip(
        torch.autograd.grad(ours, lora.parameters), torch.autograd.grad(theirs, lora.parameters), strict=True
    ):
        assert float((got - wanted).norm()) < 1e-6 * float(wanted.norm())


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_training_wins_and_leaves_the_model_alone(family, fitted):
    loaded = tiny(family)
    before = {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}
    stages = []
    made = distill(loaded, loaded.sites, fitted[family], 4, 0, LIMITS, lambda *seen: stages.append(seen))
    assert made.training.losses[-1] < 0.2 * made.training.losses[0]
    assert all(torch.equal(tensor, before[name]) for name, tensor in loaded.model.state_dict().items())
    assert hooks_left(loaded.model) == 0
    assert not any(p.requires_grad or p.grad is not None for p in loaded.model.parameters())
    assert stages[1][1:] == (1, LIMITS.max_steps)
    assert f"loss {made.training.losses[0]:.2g}" in stages[1][0]
    kls = []
    with torch.inference_mode(), made.lora.acting():
        for part in fitted[family]:
            n = part.n_continuation + 1
            p, q = (
                logits[:n].softmax(-1)
                for logits in (part.passage.logits, logits_without_context(loaded, part.passage))
            )
            kls.append((p * (p / q).log()).sum(-1))
    assert float(torch.cat(kls).mean()) < 0.2 * made.training.losses[0]


def test_a_seed_trains_the_same_lora_again(fitted):
    loaded, limits = tiny("llama"), replace(LIMITS, max_steps=3)
    one, again, other = (
        distill(loaded, loaded.sites, fitted["llama"], 2, seed, limits) for seed in (3, 3, 4)
    )
    assert one.training.losses == again.training.losses != other.training.losses
    assert all(map(torch.equal, one.lora.parameters, again.lora.parameters))


def test_the_rate_with_the_lowest_loss_stays_and_both_count(fitted):
    loaded = tiny("llama")
    limits = TrainingLimits(learning_rates=(1e-5, 1e-2), max_steps=5)
    made = distill(loaded, loaded.sites, fitted["llama"], 2, 0, limits)
    assert made.training.learning_rate == 1e-2
    assert made.training is made.trainings[1]
    assert made.n_steps == 10
    assert made.seconds == sum(training.seconds for training in made.trainings) > made.training.seconds
    rank, layers = 2, len(loaded.sites)
    assert made.lora.n_floats == layers * rank * 3 * (24 + 40)


def test_a_training_ends_at_a_plateau_or_its_bounds(fitted):
    loaded = tiny("llama")
    ends = [
        distill(loaded, loaded.sites, fitted["llama"], 2, 0, limits).training
        for limits in (
            TrainingLimits(learning_rates=(0.0,)),
            TrainingLimits(learning_rates=(1e-3,), max_steps=2),
            TrainingLimits(learning_rates=(1e-3,), max_seconds=0.0),
        )
    ]
    assert [(t.end, len(t.losses)) for t in ends] == [("plateau", 2 * WINDOW), ("steps", 2), ("seconds", 1)]


def test_a_plateau_is_less_than_a_500th_of_the_first_loss_won_over_the_window():
    def falling(nats):
        """A loss of 5 nats, then of 1, that falls by ``nats`` from window to window."""
        return [5.0, *[1.0] * WINDOW, *[1 - nats] * WINDOW]

    assert is_plateau(falling(0.009))
    assert is_plateau(falling(-0.5)), "a loss that rises wins nothing"
    assert not is_plateau(falling(0.011))
    assert not is_plateau([1.0] * (2 * WINDOW - 1)), "too few steps to tell"
    assert not is_plateau([*falling(0.0), *[0.9] * WINDOW]), "only the last steps count"


def test_a_stop_between_steps_leaves_no_hook(fitted):
    loaded = tiny("llama")

    def stop(_stage, done=0, _total=0):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(loaded, loaded.sites, fitted["llama"], 2, 0, LIMITS, stop)
    assert hooks_left(loaded.model) == 0


def test_experts_are_refused():
    loaded = tiny("mixtral")
    with pytest.raises(BadInput, match=r"layer 0 has .*: leave \*distilled\* out"):
        distill(loaded, loaded.sites, compiled("mixtral").fitted, 2, 0, LIMITS)
