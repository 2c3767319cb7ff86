"""A held patch in passes that are not the engine's: with gradients, in threads, under autocast, switched off."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache
from threading import Barrier

import pytest
import torch

from icltui.api.progress_callback import ignore_progress
from icltui.engine.generate.jobs import make_patch
from icltui.engine.generate.prepare_request import make_spec
from icltui.engine.hooks.attach import attach
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.build import PatchSpec
from icltui.engine.patch.live_patch import LivePatch
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from tests.engine.small_models import make_tiny

PROMPT = Prompt(context="the sky is green. ", query="the sky is")


@cache
def patched(
    family: str, dtype: torch.dtype = torch.float64, mode: str = "frozen"
) -> tuple[LoadedModel, PatchSpec, LivePatch]:
    loaded = make_tiny(family, dtype)
    spec = make_spec(loaded, PROMPT, "all", Recipe(mode=mode, n_fitted=2))
    made = make_patch(spec, ignore_progress).patch
    return loaded, spec, LivePatch(made.sites, made.layers)


@contextmanager
def out_of_place(patch: LivePatch) -> Iterator[None]:
    """The patch by torch's own hooks, none of which changes a tensor: the shift is added to the block's output."""
    with ExitStack() as stack:
        for site in patch.sites:
            layer, kept = patch.layers[site.layer], {}

            def mlp_input(_, args, kwargs, layer=layer):
                z = args[0]
                return (z + z @ layer.weights.read.T @ layer.weights.write.T, *args[1:]), kwargs

            def down_input(_, args, kept=kept):
                kept["g"] = args[0]

            def block_output(_, _args, output, layer=layer, kept=kept):
                out = output[0] if isinstance(output, tuple) else output
                shift = layer.bias
                if layer.output is not None:
                    shift = kept["g"] @ layer.output.read.T @ layer.output.write.T
                return (out + shift, *output[1:]) if isinstance(output, tuple) else out + shift

            handles = [site.mlp.register_forward_pre_hook(mlp_input, with_kwargs=True)]
            if site.down_proj is not None:
                handles.append(site.down_proj.register_forward_pre_hook(down_input))
            handles.append(site.block.register_forward_hook(block_output))
            for handle in handles:
                stack.callback(handle.remove)
        yield


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3", "olmo2", "gpt_neox", "mixtral"])
def test_gradients_are_those_of_the_patched_model(family):
    loaded, spec, patch = patched(family)
    row = torch.tensor([spec.ids.plain])

    def gradients(manager):
        loaded.model.requires_grad_(True).zero_grad()
        with manager:
            loss = loaded.model(row).logits[0, -1].logsumexp(0)
            loss.backward()
        found = {name: p.grad for name, p in loaded.model.named_parameters() if p.grad is not None}
        loaded.model.requires_grad_(False).zero_grad()
        return loss.item(), found

    loss, wanted = gradients(out_of_place(patch))
    got_loss, got = gradients(attach(patch.sites, patch))
    assert got_loss == pytest.approx(loss, abs=1e-6)
    assert got.keys() == wanted.keys()
    for name, gradient in wanted.items():
        # The norms compute in float32.
        assert float((got[name] - gradient).norm()) <= 1e-5 * float(gradient.norm()), name
    assert gradients(nullcontext())[0] != pytest.approx(loss, abs=1e-3)


@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt_neox"])
@torch.no_grad()
def test_passes_of_several_threads_do_not_mix(family):
    loaded, spec, patch = patched(family)
    rows = [torch.tensor([spec.ids.plain[: 3 + k % 7] * (1 + k % 3)]) for k in range(24)]
    together = Barrier(4)

    def run(row):
        with torch.no_grad():  # each thread has its own
            return loaded.model(row).logits

    with attach(patch.sites, patch):
        alone = [run(row) for row in rows]
        with ThreadPoolExecutor(4, initializer=together.wait) as threads:
            at_once = list(threads.map(run, rows * 3))
    assert all(torch.equal(a, b) for a, b in zip(at_once, alone * 3, strict=True))


@torch.no_grad()
def test_at_strength_0_nothing_is_added_and_it_is_turned_while_it_acts():
    loaded, spec, patch = patched("llama", torch.bfloat16)
    ids = torch.tensor([spec.ids.plain])
    plain = loaded.model(ids).logits
    with attach(patch.sites, patch):
        whole = loaded.model(ids).logits
        patch.turn(0.0)
        off = loaded.model(ids).logits
        patch.turn(1.0)
        assert torch.equal(loaded.model(ids).logits, whole)
    assert torch.equal(off, plain)
    assert not torch.equal(whole, plain)


@torch.no_grad()
def test_autocast_does_not_round_what_is_added():
    _, spec, patch = patched("llama", torch.float32)
    layer = spec.sites[0].layer
    z = torch.randn(1, 4, 24, generator=torch.Generator().manual_seed(0))
    wanted = patch.mlp_input(layer, z)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(patch.mlp_input(layer, z), wanted)
