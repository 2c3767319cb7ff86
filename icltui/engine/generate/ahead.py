"""The patched lane at other strengths, before anybody has asked for them.

Enters: a loaded model and a request. Leaves: the lane at one strength after the other. The patch is made once and the
context is run once: a strength then costs the lane's own tokens and the tests of the patch.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from jaxtyping import Float
from msgspec.structs import replace as with_changes
from torch import Tensor

from icltui.api.messages import Event, GenerateAhead, StrengthGenerated
from icltui.engine.generate.generate import contextual, generate
from icltui.engine.generate.jobs import make_patch_at, report, spec_of, whole
from icltui.engine.generate.lane_in_context import LanesInContext
from icltui.engine.generate.last_patch import LastPatch
from icltui.engine.hooks.capture import States
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.build import BuiltPatch
from icltui.engine.patch.decoding import ContextDecoder
from icltui.values import Generation

MOST_KEPT = 2**25
"""Logits of the context lane that are kept; where there would be more, it is run for each strength."""


class _Interrupted(Exception):
    """Something that was asked for is to run instead."""


@dataclass
class RecordedContext(ContextDecoder):
    """The lane with the context, run once, whose logits and states are then given again from the beginning."""

    given: list[tuple[Tensor, States | None]] = field(default_factory=list)
    n_given: int = 0
    """How many of them were given since the last beginning."""

    def prefill(self) -> Float[Tensor, "rows vocabulary"]:
        self.tokens, self.n_given = [], 0
        if not self.given:
            self.given.append((super().prefill(), self.targets))
        return self._next()

    def step(self, tokens: Sequence[int]) -> Float[Tensor, "rows vocabulary"]:
        if self.n_given == len(self.given):
            self.given.append((super().step(tokens), self.targets))
        else:
            self.tokens.append(list(tokens))
        return self._next()

    def _next(self) -> Float[Tensor, "rows vocabulary"]:
        logits, self.targets = self.given[self.n_given]
        self.n_given += 1
        return logits


def run_generate_ahead(
    loaded: LoadedModel, request: GenerateAhead, last: LastPatch, should_stop: Callable[[], bool]
) -> Iterator[Event]:
    """The patched lane at each strength; then, with it, the report on the patch at each; while there is time.

    Raises:
        BadInput: a prompt, recipe or sampling that cannot be.
    """
    asked, end = request.generate, time.monotonic() + request.budget
    asked = with_changes(asked, recipe=with_changes(asked.recipe, alpha=1.0), curves=False)
    spec = spec_of(loaded, asked)
    built = yield from make_patch_at(spec, asked, last)
    if built is None:
        return
    in_context, context = LanesInContext(spec), _recorded(built, asked.n_tokens)

    def on_progress(stage: str, done: int = 0, total: int = 0) -> None:  # noqa: ARG001
        if should_stop() or time.monotonic() > end:
            raise _Interrupted

    texts: list[tuple[BuiltPatch, Generation]] = []
    with suppress(_Interrupted):
        for alpha in request.alphas:
            on_progress("")
            one = _at(built, alpha)
            *_, made = generate(
                [one.spec],
                one,
                lanes=("patched",),
                n_tokens=asked.n_tokens,
                sampling=asked.sampling,
                forced=asked.forced,
                in_context=in_context,
                context=context,
                on_progress=on_progress,
            )
            assert isinstance(made, Generation)
            texts.append((one, _patched_alone(whole(made, one.spec, asked))))
            yield StrengthGenerated(generation=texts[-1][1])
        for one, made in texts if built.prompt is not None else ():
            patch = report(one, False, last, on_progress)
            yield StrengthGenerated(generation=with_changes(made, patch=patch))


def _at(built: BuiltPatch, alpha: float) -> BuiltPatch:
    recipe = with_changes(built.spec.recipe, alpha=alpha)
    return replace(built, spec=replace(built.spec, recipe=recipe), alpha=alpha)


def _recorded(built: BuiltPatch, n_tokens: int) -> RecordedContext | None:
    """The context lane of the patch's prompt; None where too much of it would be kept, or its states aim nothing."""
    spec = built.spec
    n_rows = spec.loaded.model.get_input_embeddings().weight.shape[0]
    if n_tokens * n_rows > MOST_KEPT or spec.control_ids != spec.ids:
        return None
    lane = contextual([spec])
    return RecordedContext(lane.rows, lane.patch, lane.sites, lane.n_query)


def _patched_alone(made: Generation) -> Generation:
    return with_changes(
        made,
        lanes={"patched": made.lanes["patched"]},
        agreement={"patched": made.agreement["patched"]},
        fit={"patched": made.fit["patched"]},
    )
