"""Adapters and what joining them gives, invented: for tests that need a value, not a truth."""

from icltui.values import AnswerConflict, JoinedContext, JoinedPatch, PromptIds
from icltui.values.patch_source import PatchSource
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe

SOURCE = PatchSource(
    version="0.1.0",
    model="demo",
    revision=None,
    fingerprint="f" * 16,
    prompt=Prompt(context="The capital of France is Rome.\n", query="France:"),
    layers="0-2",
    recipe=Recipe(mode="compiled", metric="ordinary", ridge=0.01, n_fitted=2, queries=("France:", "π [/b]")),
    ids=PromptIds(prefix=(0,), context=(1, 2), query=(3,), queries={"France:": (1, 2, 3)}),
    holdout=("Spain:",),
    name="capitals",
)
CAPITALS = JoinedContext(
    name="capitals",
    n_fitted=12,
    is_unseen=True,
    n_queries=11,
    n_unchanged=1,
    r_alone=0.97,
    r_joined=0.95,
    r_concatenated=0.61,
    r_others=(0.97, -0.04),
    kl_others=(3.1, 0.2),
    collateral=0.12,
)
JOINED = JoinedPatch(
    contexts=(
        CAPITALS,
        JoinedContext(
            name="a\x1b[2Jb [/b]",
            n_fitted=9,
            is_unseen=False,
            n_queries=3,
            n_unchanged=0,
            r_alone=0.8,
            r_joined=None,
            r_concatenated=-2.5,
            r_others=(None, 0.8),
            kl_others=(0.3, 2.0),
            collateral=0.2,
        ),
    ),
    conflicts=(AnswerConflict(query="France:", contexts=("capitals", "b"), answers=(" Rome", " Lyon")),),
    n_tokens=84,
    rank=84,
    collateral=0.25,
    collateral_concatenated=1.5,
    n_collateral=400,
    seconds=4.2,
    files=("/x/both/adapter_model.safetensors",),
    notes=("ridge 0.02 of both 0.01 and 0.02",),
)
