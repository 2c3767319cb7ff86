"""Steps of a context against one slow forward pass each, in float64."""

import pytest
import torch

from icltui.engine.contexts.prefix_steps import prefix_steps
from icltui.engine.measure.forward_pass import forward_states
from icltui.engine.measure.rank_one import project
from icltui.engine.prompts.tokenize import Ids
from tests.engine.small_models import tiny

PREFIX, QUERY, TOKENS = (0,), (70, 12, 199), (3, 8, 250)
PARTS = ((17, 203, 88), (140, 9), (61, 5, 211))


def states(loaded, context):
    """z, v (layers, hidden) at the query's last token, and log-probabilities, of a run by itself."""
    with torch.inference_mode():
        logits, seen = forward_states(loaded.model, loaded.sites, [*PREFIX, *context, *QUERY], 1)
    return seen.z[:, 0], seen.v[:, 0], logits.log_softmax(-1)


def close(ours, theirs, share=1e-8):
    assert torch.tensor(ours, dtype=torch.float64).flatten() == pytest.approx(
        torch.as_tensor(theirs, dtype=torch.float64).flatten(), rel=share, abs=share
    )


@pytest.mark.parametrize("path", ["packed", "loop"])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_steps_are_differences_of_runs_by_themselves(family, path):
    loaded = tiny(family)
    context, ends = sum(PARTS, ()), (0, 3, 5, 8)
    found = prefix_steps(loaded, Ids(PREFIX, context, QUERY, ends), TOKENS, path)
    z, v, log_p = (
        torch.stack(some) for some in zip(*(states(loaded, context[:end]) for end in ends), strict=True)
    )
    close(found.shift_steps, (v[1:] - v[:-1]).norm(dim=-1).T)
    close(found.stream_norms, v[0].norm(dim=-1))
    close(found.net_shift, (v[1:] - v[0]).norm(dim=-1).T)
    close(found.log_p, log_p[:, list(TOKENS)])
    close(
        found.kl_to_full,
        [torch.nn.functional.kl_div(one, log_p[-1], log_target=True, reduction="sum") for one in log_p],
    )
    assert found.top == tuple(log_p.argmax(-1).tolist())
    for k, site in enumerate(loaded.sites):
        weights = torch.cat(
            [project(site, torch.eye(z.shape[-1], dtype=z.dtype))[p.name] for p in site.input_projections], 1
        ).T
        for i in range(3):
            step = torch.outer(weights @ (z[i + 1, k] - z[i, k]), z[0, k]) / z[0, k].square().sum()
            close(found.weight_steps[k][i], step.norm() / weights.norm())
