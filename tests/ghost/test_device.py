"""What CUDA refuses a ghost refuses, and what CUDA allows it allows; its numbers are the CPU's."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.nn.functional import embedding, layer_norm, linear, scaled_dot_product_attention, silu

from tests.ghost.device import GhostTensor, one_backward_thread
from tests.ghost.models import Watching
from tests.ghost.traffic import watched

SAME = "Expected all tensors to be on the same device"


@dataclass(frozen=True)
class Case:
    """One expression, and what CUDA does with it."""

    cuda: str
    expression: Callable[[Any, Any, Any], Any]
    """Of a CPU tensor and of tensors on the first and on the second device, each (2, 3) of 1, 2 … 6."""
    refusal: str = ""
    """A part of CUDA's error, its device named ghost; empty: CUDA gives a result."""
    device: str | None = "ghost:0"
    """The result's device; None: it is no tensor."""


ZERO, INDEX = torch.tensor(1.5), torch.tensor([1, 0])
CASES = (
    Case("adds no tensor of the CPU", lambda c, g, _: g + c, SAME),
    Case("adds no tensor of another GPU", lambda _, g, h: g + h, SAME),
    Case("adds no number of another GPU", lambda _, g, h: g + h[0, 0], SAME),
    Case("multiplies no matrices of two devices", lambda c, g, _: g @ c.T, SAME),
    Case("applies no weights of another device", lambda c, g, _: linear(g, c), SAME),
    Case("concatenates no tensors of two devices", lambda c, g, _: torch.cat([g, c]), SAME),
    Case("stacks no tensors of two devices", lambda _, g, h: torch.stack([g, h]), SAME),
    Case("adds no CPU tensor in place", lambda c, g, _: g.clone().add_(c), SAME),
    Case("writes no result to the CPU", lambda c, g, _: c.clone().add_(g), SAME),
    Case("writes no number to the CPU", lambda _, g, __: ZERO.clone().add_(g[0, 0]), SAME),
    Case("compares no tensors of two devices", lambda c, g, _: g == c, SAME),
    Case("masks by no mask of the CPU", lambda c, g, _: g.masked_fill(c > 2, 0.0), SAME),
    Case("chooses by no condition of the CPU", lambda c, g, _: torch.where(c > 2, g, ZERO), SAME),
    Case("looks up no ids of the CPU", lambda _, g, __: embedding(INDEX, g), SAME),
    Case("gathers by no index of the CPU", lambda _, g, __: g.index_select(0, INDEX), SAME),
    Case("attends to no keys of another GPU", lambda _, g, h: _attended(g, h, h), SAME),
    Case("takes no mask of the CPU", lambda c, g, _: _attended(g, g, g, c[:, :2] > 2), SAME),
    Case("mixes no values that it sets", lambda c, g, _: _set(g, torch.tensor([0], device="ghost:0"), c[0]), SAME),
    Case("indexes no CPU tensor", lambda c, g, _: c[(g[0] > 9).long()], "indices should be either on cpu"),
    Case("indexes by no other GPU", lambda _, g, h: g[(h[:, 0] > 1).long()], "indices should be either on cpu"),
    Case("draws by no generator of the CPU", lambda _, g, __: g.clone().normal_(generator=torch.Generator()),
         "Expected a 'ghost' device type for generator but found 'cpu'"),
    Case("makes no numbers by a generator of the CPU",
         lambda *_: torch.rand(3, device="ghost:0", generator=torch.Generator()), "for generator but found 'cpu'"),
    Case("shows numpy nothing", lambda _, g, __: g.numpy(), "can't convert ghost:0 device type tensor to numpy"),
    Case("is no numpy array", lambda _, g, __: np.asarray(g), "can't convert ghost:0 device type tensor to numpy"),
    Case("has so many devices", lambda *_: torch.ones(1, device="ghost:2"), "invalid device ordinal"),
    Case("adds a number of the CPU", lambda _, g, __: g + ZERO),
    Case("adds to a number of the CPU", lambda _, g, __: ZERO * g),
    Case("adds a number of Python", lambda _, g, __: 2 * g + 1),
    Case("chooses a number of the CPU", lambda _, g, __: torch.where(g > 2, ZERO, g)),
    Case("fills with a number of the CPU", lambda _, g, __: g.masked_fill(g > 2, ZERO)),
    Case("is indexed by the CPU", lambda _, g, __: g[INDEX]),
    Case("is indexed by a list", lambda _, __, h: h[[1, 0]], device="ghost:1"),
    Case("is set by an index of the CPU", lambda _, g, __: _set(g, INDEX, g)),
    Case("is set to a number of the CPU", lambda _, g, __: _set(g, INDEX, ZERO)),
    Case("copies from the CPU", lambda c, g, _: torch.zeros_like(g).copy_(c)),
    Case("copies to the CPU", lambda c, g, _: torch.zeros_like(c).copy_(g), device="cpu"),
    Case("copies from another GPU", lambda _, g, h: torch.zeros_like(g).copy_(h)),
    Case("moves", lambda c, *_: c.to("ghost:1", torch.bfloat16), device="ghost:1"),
    Case("moves to the other GPU", lambda _, g, h: g.to(h), device="ghost:1"),
    Case("moves to the first GPU", lambda c, *_: c.to("ghost")),
    Case("comes back", lambda _, g, __: g.cpu(), device="cpu"),
    Case("makes tensors of lists", lambda *_: torch.tensor([1, 2], device="ghost:1"), device="ghost:1"),
    Case("makes tensors like itself", lambda _, __, h: h.new_zeros(3), device="ghost:1"),
    Case("makes tensors of data like itself", lambda _, __, h: h.new_tensor([1.0]), device="ghost:1"),
    Case("makes ranges", lambda *_: torch.arange(5, device="ghost:0")),
    Case("makes zeros like a CPU tensor", lambda c, *_: torch.zeros_like(c, device="ghost:0")),
    Case("counts integers", lambda _, g, __: torch.histc(g.to("ghost:0").int(), 4, 0, 3)),
    Case("gives numbers", lambda _, g, __: g[0, 0].item(), device=None),
    Case("gives lists", lambda _, g, __: g.tolist(), device=None),
    Case("copies deeply", lambda _, g, __: deepcopy(g)),
    Case("attends with few heads and a mask", lambda _, g, __: _few(g, torch.ones(3, 3, device=g.device).tril() > 0)),
    Case("attends", lambda _, g, __: _attended(g, g, g)),
)  # fmt: skip


def _attended(q: Any, k: Any, v: Any, mask: Any = None) -> Any:
    return scaled_dot_product_attention(q[None, None], k[None, None], v[None, None], attn_mask=mask)


def _few(x: Any, mask: Any) -> Any:
    """Attention of two heads to one, for which no kernel is fused."""
    return scaled_dot_product_attention(
        x.view(1, 2, 3, 1), x[:1].view(1, 1, 3, 1), x[1:].view(1, 1, 3, 1), mask
    )


def _set(tensor: Any, index: Any, value: Any) -> Any:
    changed = tensor.clone()
    changed[index] = value
    return changed


def numbers(device: str) -> torch.Tensor:
    return torch.arange(1.0, 7.0).view(2, 3).to(device)


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.cuda)
def test_what_cuda_does(case, inference):
    given = [numbers(device) for device in ("cpu", "ghost:0", "ghost:1")]
    with torch.inference_mode(inference):
        if case.refusal:
            with pytest.raises((RuntimeError, TypeError), match=case.refusal):
                case.expression(*given)
            return
        made = case.expression(*given)
        wanted = case.expression(*[numbers("cpu")] * 3) if _is_free_of_devices(case) else None
    if case.device is None:
        assert not isinstance(made, torch.Tensor)
        assert made == wanted
        return
    assert str(made.device) == case.device
    assert isinstance(made, GhostTensor) == (case.device != "cpu")
    if wanted is not None:
        assert torch.equal(made.cpu(), wanted)


def _is_free_of_devices(case: Case) -> bool:
    """Whether the expression means the same where all three tensors are on the CPU."""
    return not any(isinstance(c, str) and "ghost" in c for c in case.expression.__code__.co_consts)


def test_gradients_and_derivatives_are_those_of_the_cpu():
    def gradient(device: str) -> torch.Tensor:
        x = numbers(device).requires_grad_()
        mask = torch.tensor([[True, False], [True, True]], device=device)
        y = silu(_attended(x, x, x, mask)).log_softmax(-1)
        (y * y).sum().backward()
        return x.grad.cpu()

    def derivative(device: str) -> torch.Tensor:
        with forward_ad.dual_level():
            one = torch.ones((), device=device)
            x = numbers(device) + forward_ad.make_dual(torch.zeros_like(one), one) * numbers(device)
            return forward_ad.unpack_dual(x.softmax(-1)).tangent.cpu()

    with one_backward_thread():
        wanted, slope = gradient("cpu"), derivative("cpu")
        for device in ("ghost:0", "ghost:1"):
            assert torch.equal(gradient(device), wanted)
            assert torch.equal(derivative(device), slope)


def test_the_derivative_of_a_norm_is_that_of_a_watched_cpu():
    """torch multiplies in another order for tensors of a class that is not its own."""
    rows = torch.randn(2, 50, 64, generator=torch.Generator().manual_seed(0))

    def derivative(device: str) -> torch.Tensor:
        with forward_ad.dual_level():
            x = forward_ad.make_dual(*rows.to(device))
            return forward_ad.unpack_dual(layer_norm(x, (64,))).tangent.cpu()

    plain = derivative("cpu")
    with Watching():
        watched_ = derivative("cpu")
    assert torch.equal(derivative("ghost:1"), watched_)
    assert not torch.equal(plain, watched_)
    assert torch.allclose(plain, watched_, rtol=1e-4, atol=1e-6)


def test_a_gradient_crosses_devices():
    x = numbers("ghost:0").requires_grad_()
    with one_backward_thread():
        (x.to("ghost:1") * 3).sum().cpu().backward()
    assert x.grad.device == torch.device("ghost:0")
    assert torch.equal(x.grad.cpu(), torch.full((2, 3), 3.0))


def test_a_module_moves_with_its_tied_weights():
    with torch.device("ghost:1"):
        made = nn.Linear(3, 2)
    assert str(made.weight.device) == "ghost:1"
    moved = nn.Linear(3, 2).to("ghost:0")
    assert isinstance(moved.weight, nn.Parameter)
    assert str(moved(numbers("ghost:0")).device) == "ghost:0"


def test_a_view_shares_its_numbers():
    x = numbers("ghost:0")
    x[0].mul_(10.0)
    x.view(-1)[-1] = 0.0
    assert x.tolist() == [[10.0, 20.0, 30.0], [4.0, 5.0, 0.0]]


@pytest.mark.parametrize(
    ("kind", "expression"),
    [
        ("read", lambda g: g[0, 0].item()),
        ("read", lambda g: bool(g.sum() > 0)),
        ("read", lambda g: g.tolist()),
        ("read", lambda g: g.cpu()),
        ("read", lambda g: torch.equal(g, g)),
        ("read", lambda g: g[g > 2]),
        ("read", lambda g: (g > 2).nonzero()),
        ("upload", lambda g: torch.tensor([1], device=g.device)),
        ("upload", lambda g: torch.ones(3).to(g.device)),
        ("upload", lambda g: g[[1, 0]]),
        ("", lambda g: g.to("ghost:1")),
        ("", lambda g: g.masked_fill_(g > 2, 0.0)),
        ("", lambda g: torch.zeros(3, device=g.device) + 2),
        ("", lambda g: g + ZERO),
    ],
)
def test_what_the_host_waits_for(kind, expression):
    x = numbers("ghost:0")
    with watched() as traffic:
        expression(x)
    assert (sum(traffic.reads.values()), sum(traffic.uploads.values())) == (kind == "read", kind == "upload")
