"""Hooks act at their sites, in the order in which they were attached, and leave nothing on the model."""

import pytest
import torch

from icltui.engine.hooks.attach import Attachment, attach
from icltui.engine.hooks.site import Site, SiteHook
from icltui.engine.measure.forward_pass import forward
from tests.engine.small_models import tiny

ROW = [0, 17, 203, 88]


class Doubling(SiteHook):
    """Keeps the z that it sees, and doubles it."""

    def __init__(self):
        self.seen = []

    def mlp_input(self, layer, z):  # noqa: ARG002
        self.seen.append(z.clone())
        return 2 * z


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture
def loaded():
    return tiny("llama")


def own_forwards(model) -> list:
    return [module for module in model.modules() if "forward" in vars(module)]


def test_the_first_that_came_sees_first(loaded):
    first, second = Doubling(), Doubling()
    with attach(loaded.sites, first), attach(loaded.sites, second):
        forward(loaded.model, ROW)
    assert torch.equal(second.seen[0], 2 * first.seen[0])
    assert not own_forwards(loaded.model)


def test_one_may_leave_before_those_that_came_later(loaded):
    first, second = Doubling(), Doubling()
    one, other = attach(loaded.sites, first), attach(loaded.sites, second)
    with other:
        with one:
            other.__exit__()
            forward(loaded.model, ROW)
            other.__enter__()
        forward(loaded.model, ROW)
    assert len(first.seen) == len(second.seen) == len(loaded.sites)
    assert not own_forwards(loaded.model)


def test_an_attachment_may_be_entered_again_and_does_nothing_in_between(loaded):
    before, probe = forward(loaded.model, ROW), Doubling()
    attachment = attach(loaded.sites, probe)
    for times in (1, 2):
        with attachment:
            assert not torch.equal(forward(loaded.model, ROW), before)
        assert torch.equal(forward(loaded.model, ROW), before)
        assert len(probe.seen) == times * len(loaded.sites)


def test_a_forward_of_the_instance_is_put_back(loaded):
    module = loaded.sites[0].mlp
    own = module.forward
    module.forward = own  # as accelerate does
    try:
        with attach(loaded.sites, probe := Doubling()):
            forward(loaded.model, ROW)
            assert vars(module)["forward"] is not own
        assert vars(module)["forward"] is own
        assert len(probe.seen) == len(loaded.sites)
    finally:
        del module.forward
    assert not own_forwards(loaded.model)


def n_hooks(model) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_nothing_is_left_when_entering_fails(loaded, error, monkeypatch):
    def refuse(*_, **__):
        raise error

    before = n_hooks(loaded.model)
    monkeypatch.setattr(loaded.sites[-1].block, "register_forward_hook", refuse, raising=True)

    class Watching(Doubling):
        def block_output(self, layer, out):
            pass

    with pytest.raises(error):
        Attachment(loaded.sites, Watching()).__enter__()
    assert not own_forwards(loaded.model)
    assert n_hooks(loaded.model) == before


def test_a_stream_whose_rows_are_no_view_is_shifted_in_place():
    class OneMore(SiteHook):
        def shift(self, layer):  # noqa: ARG002
            return torch.ones(4)

    norm, down_proj = torch.nn.Identity(), torch.nn.Identity()
    site = Site(0, torch.nn.Identity(), down_proj, (), "norm", norm, None, down_proj, ())
    stream = torch.zeros(3, 2, 4).transpose(0, 1)
    with attach([site], OneMore()):
        norm(stream)
        down_proj(stream)
    assert torch.equal(stream, torch.ones(2, 3, 4))
