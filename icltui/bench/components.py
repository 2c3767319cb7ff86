"""The parts of a patch, each alone, on many prompts: which of them brings the context's effect on the next token.

:class:`ComponentSettings` enter; a :class:`Comparison` leaves: for every prompt the KL from the contextual
distribution after the query, of each part as *verify* measures it, and of a shift held on the whole query.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import quantiles

import torch
from msgspec.structs import replace

from icltui.api import run_to_result
from icltui.api.messages import LoadModel, Verify
from icltui.bench.component_prompts import PROMPTS
from icltui.engine.generate.generate import logit_error
from icltui.engine.generate.prepare_request import make_spec
from icltui.engine.local import LocalEngine
from icltui.engine.patch.alpha_search import patched_logits
from icltui.engine.patch.build import build_patch
from icltui.values import LogitError
from icltui.values.prompt import Bos, Prompt
from icltui.values.recipe import Carrier, Recipe

PARTS: Mapping[str, str] = {
    "plain": "no patch",
    "weights": "ΔW alone",
    "shift": "Δb alone",
    "output": "Δb alone, held by the down projection",
    "bias": "Δb alone, held as a constant",
    "patched": "ΔW and Δb",
    "random": "control: random, equal norms",
    "shuffled": "control: shuffled context",
}
"""Names of the parts, in the order of the table, and their titles."""
_CARRIERS: tuple[Carrier, ...] = ("output", "bias")


@dataclass(frozen=True)
class ComponentSettings:
    """The model, and the form in which it gets the prompts."""

    model: str | None = None
    """Hugging Face id, folder or file; None: the embedded model."""
    device: str = "cpu"
    dtype: str = "float32"
    bos: Bos = "auto"


@dataclass(frozen=True)
class PromptScores:
    """The scores of one prompt."""

    kind: str
    parts: Mapping[str, LogitError]
    """The logits with each part of :data:`PARTS`, against the contextual ones."""
    n_kept: int
    """Kept tokens before the text."""
    patched_share: float
    """L∞ of the patched logits, as a share of the largest contextual one."""
    noise_share: float
    """The noise floor, as such a share."""
    ok: bool


@dataclass(frozen=True)
class Comparison:
    """The scores of all prompts on one model."""

    model: str
    dtype: str
    bos: Bos
    prompts: tuple[PromptScores, ...]

    def kls(self, part: str, kind: str | None = None) -> list[float]:
        """The part's KL in nats on each prompt, or on each of one kind; infinite where it is not finite."""
        return [_kl(scores.parts[part]) for scores in self.prompts if kind in (None, scores.kind)]

    def equals(self, part: str) -> int:
        """The number of prompts on which the part has the contextual top token."""
        return sum(scores.parts[part].top1_equal for scores in self.prompts)

    def better(self, part: str) -> int:
        """The number of prompts on which the part is nearer to the context than no patch."""
        return sum(ours < none for ours, none in zip(self.kls(part), self.kls("plain"), strict=True))


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """First quartile, median and third quartile, linear between two values (NaN beside an infinite one).

    >>> quartiles([4.0, 1.0, 3.0, 2.0])
    (1.75, 2.5, 3.25)
    """
    low, median, high = quantiles(values, n=4, method="inclusive")
    return low, median, high


def compare_components(settings: ComponentSettings, on_progress: Callable[[str], None]) -> Comparison:
    """Load the model, and score every part on every prompt."""
    engine = LocalEngine()
    request = LoadModel(device=settings.device, dtype=settings.dtype)
    if settings.model is not None:
        request = replace(request, model=settings.model)
    info = run_to_result.load(engine, request)
    return Comparison(info.name, info.dtype, settings.bos, tuple(_scores(engine, settings.bos, on_progress)))


def _scores(engine: LocalEngine, bos: Bos, on_progress: Callable[[str], None]) -> Iterator[PromptScores]:
    for number, (kind, text) in enumerate(PROMPTS, 1):
        on_progress(f"prompt {number} of {len(PROMPTS)}: {kind}")
        prompt = replace(text, bos=bos)
        proof = run_to_result.verify(engine, Verify(prompt=prompt))
        errors = {**proof.logits, **proof.controls}
        for carrier in _CARRIERS:
            errors[carrier] = _held_shift(engine, prompt, carrier)
        yield PromptScores(
            kind,
            {part: errors[part] for part in PARTS},
            n_kept=0 if proof.ids is None else len(proof.ids.prefix),
            patched_share=proof.patched_share or 0.0,
            noise_share=proof.noise_share or 0.0,
            ok=proof.ok,
        )


@torch.no_grad()
def _held_shift(engine: LocalEngine, prompt: Prompt, carrier: Carrier) -> LogitError:
    """The logits after the query with the shift of its last token, held on all its tokens."""
    assert engine.loaded is not None
    recipe = Recipe(mode="frozen", components="shift", carrier=carrier)
    built = build_patch(make_spec(engine.loaded, prompt, "all", recipe), n_later=0)
    return logit_error(built.own.logits[0], patched_logits(built, built.own)[0])


def _kl(error: LogitError) -> float:
    return math.inf if error.kl is None else error.kl
