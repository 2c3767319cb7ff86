"""What the tests of *export* share: an engine that holds a tiny model, and one export of its patch."""

import stat
from pathlib import Path
from typing import Any

import torch
from msgspec.structs import replace

from icltui.api.messages import Export, ExportEnded
from icltui.api.progress_callback import ignore_progress
from icltui.engine.generate.jobs import make_patch
from icltui.engine.generate.prepare_request import make_spec
from icltui.engine.local import LocalEngine
from icltui.engine.measure.forward_pass import forward
from icltui.engine.models.loaded_model import LoadedModel, wrap_model
from icltui.engine.patch.build import BuiltPatch, PatchSpec
from icltui.engine.prompts.tokenize import tokenize
from icltui.values import ExportReport
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from icltui.zoo.tiny_model import build
from tests.engine.small_models import FAMILIES, make_tokenizer, tiny

PROMPT = Prompt(context="abc def ghi", query=" stu")
FROZEN = Recipe(mode="frozen")
COMPILED = Recipe(mode="compiled", n_fitted=3)
ORDINARY = Recipe(
    mode="compiled",
    n_fitted=2,
    queries=(" stu", " jkl abc"),
    metric="ordinary",
    ridge=1e-3,
    rank=6,
    cross_fit=True,
)
"""As *compile* makes a patch: in the metric of a text, cross-fitted, cut."""


def on_a_text(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with a background of its own, written into the folder."""
    text = folder / "ordinary.txt"
    words = ["abc", "def", "ghi", "jkl", "mno", "pqr", "stu"]
    text.write_text(" ".join(words[(k * k + k // 7) % 7] for k in range(1500)))
    return replace(recipe, background=str(text))


def model_of(family: str) -> LoadedModel:
    """The family's shared tiny model in float32, from the table by hand or from the zoo."""
    if family in FAMILIES:
        return tiny(family, torch.float32)
    return wrap_model(build(family), make_tokenizer(), family)


def engine_of(loaded: LoadedModel) -> LocalEngine:
    return LocalEngine(loaded, loaded.describe("packed"))


def export(engine: LocalEngine, target: Path, **changes: Any) -> ExportReport:
    """One export of the frozen patch, with ``changes`` of the request; what it wrote is its owner's alone."""
    request = Export(**({"prompt": PROMPT, "recipe": FROZEN, "path": str(target)} | changes))
    *_, ended = engine.run(request, lambda: False)
    assert isinstance(ended, ExportEnded)
    for path in (target, *target.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    return ended.report


def build_here(loaded: LoadedModel, recipe: Recipe = FROZEN) -> BuiltPatch:
    """The same patch, made without an export."""
    with torch.inference_mode(False):
        return make_patch(case_here(loaded, recipe), ignore_progress)


def case_here(loaded: LoadedModel, recipe: Recipe = FROZEN) -> PatchSpec:
    return make_spec(loaded, PROMPT, "all", recipe)


def ids_of(loaded: LoadedModel) -> Any:
    return tokenize(loaded, PROMPT)[0]


@torch.no_grad()
def logits(loaded: LoadedModel) -> torch.Tensor:
    """Behind the query alone."""
    return forward(loaded.model, ids_of(loaded).plain)


def hooks_left(model: Any) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())
