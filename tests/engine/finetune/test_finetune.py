"""The same examples in the context and trained on, against dense matrices and autograd in float64."""

import copy

import pytest
import torch

from icltui.engine.finetune.compare import FineTuneCase, compare, examples_loss
from icltui.engine.finetune.trainable import training_copies
from icltui.engine.prompts.tokenize import Ids
from icltui.engine.trial.prompt import TrialPrompt
from icltui.values.errors import BadInput
from tests.engine.small_models import FAMILIES, attribute, tiny


def prompt(context, query, answer):
    return TrialPrompt(Ids((1,), tuple(context), tuple(query), (0, len(context))), tuple(answer))


RIGHT = (prompt((), (11, 12), (21,)), prompt((), (13, 14, 15), (22, 23)), prompt((), (16,), (24,)))
SHUFFLED = (prompt((), (11, 12), (22, 23)), prompt((), (13, 14, 15), (24,)), prompt((), (16,), (21,)))
CONTEXT = (11, 12, 21, 13, 14, 15, 22, 23, 16, 24)
CASE = FineTuneCase(prompt(CONTEXT, (17, 18), (25, 26)), RIGHT, SHUFFLED, (prompt((), (31,), (41,)),))
STEPS, RATE = (1, 3), 0.4


@pytest.fixture(params=["llama", "gpt2"])
def family(request):
    return request.param


@pytest.fixture
def loaded(family):
    return tiny(family, torch.float64)


def z_at_the_end(model, family, row):
    """z of every layer at the last token, by hooks on the modules with hand-written names."""
    where, seen = FAMILIES[family], []
    hooks = [
        attribute(block, where.mlp).register_forward_pre_hook(lambda _, args: seen.append(args[0][0, -1]))
        for block in attribute(model, where.blocks)
    ]
    with torch.no_grad():
        model(torch.tensor([row]))
    for hook in hooks:
        hook.remove()
    return seen


def matrices(model, family):
    """The dense (inner, hidden) matrices of each layer, as they lie in the model."""
    where = FAMILIES[family]
    return [
        [attribute(attribute(block, where.mlp), path) for path in where.matrices]
        for block in attribute(model, where.blocks)
    ]


def oriented(weight, family):
    return weight.T if FAMILIES[family].transposed else weight


def dense_loss(model, examples):
    losses = []
    for part in examples:
        row = [*part.ids.plain, *part.answer]
        log_p = model(torch.tensor([row])).logits[0].log_softmax(-1)
        losses += [-log_p[len(part.ids.plain) - 1 + k, token] for k, token in enumerate(part.answer)]
    return torch.stack(losses)


def densely(loaded, family, examples, n_steps):
    """A whole copy of the model, trained in place, one row at a time."""
    model = copy.deepcopy(loaded.model)
    trained = [weight for layer in matrices(model, family) for weight in layer]
    for weight in trained:
        weight.requires_grad_(True)
    for _ in range(n_steps):
        gradients = torch.autograd.grad(dense_loss(model, examples).mean(), trained)
        with torch.no_grad():
            for weight, gradient in zip(trained, gradients, strict=True):
                weight -= RATE * gradient
    return model


def test_it_is_what_dense_matrices_and_a_trained_copy_give(loaded, family):
    found = compare(loaded, loaded.sites, CASE, STEPS, (RATE,))
    ids = CASE.prompt.ids
    with_context, without = (z_at_the_end(loaded.model, family, row) for row in (ids.full, ids.plain))
    for name, examples in (("cosine", RIGHT), ("cosine_shuffled", SHUFFLED), ("cosine_other", CASE.others)):
        for place, n_steps in enumerate(STEPS):
            trained = densely(loaded, family, examples, n_steps)
            for layer in range(len(loaded.sites)):
                before, after = (matrices(model, family)[layer] for model in (loaded.model, trained))
                w, w_trained = (
                    torch.cat([oriented(x.detach(), family) for x in part]) for part in (before, after)
                )
                u = w @ (with_context[layer] - without[layer])
                v = (w_trained - w) @ without[layer]
                wanted = torch.nn.functional.cosine_similarity(u, v, dim=0).item()
                assert getattr(found[layer], name)[place] == pytest.approx(wanted, abs=1e-9)
                assert found[layer].n_rows == len(u)
                if name == "cosine":
                    assert found[layer].size_ratio[place] == pytest.approx(
                        (v.norm() / u.norm()).item(), rel=1e-8
                    )
            if name == "cosine":
                query = TrialPrompt(Ids((1,), (), ids.query, (0,)), CASE.prompt.answer)
                with torch.no_grad():
                    assert found[0].loss[place] == pytest.approx(
                        dense_loss(trained, [query]).sum().item(), rel=1e-9
                    )
                    assert found[0].training_loss[place] == pytest.approx(
                        dense_loss(trained, RIGHT).mean().item(), rel=1e-9
                    )


def test_losses_before_any_step_are_the_model_s_own(loaded):
    found = compare(loaded, loaded.sites[:1], CASE, (1,), (RATE,))
    ids = CASE.prompt.ids
    for name, row in (("loss_context", ids.full), ("loss_plain", ids.plain)):
        query = TrialPrompt(Ids((), (), tuple(row), (0,)), CASE.prompt.answer)
        with torch.no_grad():
            assert getattr(found[0], name) == pytest.approx(dense_loss(loaded.model, [query]).sum().item())


def test_the_weights_are_the_same_objects_with_the_same_bits(loaded):
    before = {name: (parameter, parameter.clone()) for name, parameter in loaded.model.named_parameters()}

    def stop(_stage, done=0, _total=0):
        if done == 2:
            raise KeyboardInterrupt

    compare(loaded, loaded.sites, CASE, (2,), (RATE,))
    with pytest.raises(KeyboardInterrupt):
        compare(loaded, loaded.sites, CASE, (2,), (RATE,), stop)
    after = dict(loaded.model.named_parameters())
    assert list(after) == list(before)
    for name, (parameter, bits) in before.items():
        assert after[name] is parameter
        assert torch.equal(parameter, bits)
        assert not parameter.requires_grad
    assert loaded.model(torch.tensor([[3]])).logits.requires_grad is False


def test_the_rate_of_the_least_loss_is_taken(loaded):
    rates = (1e-6, 0.3, 1e5)
    found = compare(loaded, loaded.sites, CASE, (1,), rates)
    losses = {r: compare(loaded, loaded.sites, CASE, (4,), (r,))[0].training_loss[0] for r in rates}
    assert found[0].rate == min(rates, key=lambda r: losses[r] if losses[r] is not None else 9e9)


def test_half_precision_and_experts_are_refused():
    with (
        pytest.raises(BadInput, match="--dtype float32"),
        training_copies(tiny("llama", torch.bfloat16).sites),
    ):
        pass
    with pytest.raises(BadInput, match="linear layers"), training_copies(tiny("mixtral").sites):
        pass


def test_examples_of_unequal_lengths_are_scored_alike(loaded):
    with torch.no_grad():
        together = examples_loss(loaded, RIGHT)
        assert together.item() == pytest.approx(dense_loss(loaded.model, RIGHT).mean().item(), rel=1e-10)
