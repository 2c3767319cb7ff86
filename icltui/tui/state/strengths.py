"""The patched lane at other strengths, kept so that a step of α shows at once.

A text is found by everything that it depends on: the model's weights, and the request but for its strength. A
background that is a file of the user's may change, so that nothing of it is kept.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

from msgspec.structs import replace as with_changes

from icltui.api.messages import Generate
from icltui.tui.state.provenance import fingerprint
from icltui.values import LANES, Generation, ModelInfo
from icltui.values.recipe import stepped

STEP = 0.05
"""Of the strengths that are generated ahead, which a key's press takes."""
_WIDE = 0.5
_MOST = 8
"""Patches of which texts are kept."""


@dataclass
class Strengths:
    """Texts by patch and strength."""

    _kept: OrderedDict[bytes, dict[float, Generation]] = field(default_factory=OrderedDict)

    def take(self, request: Generate, model: ModelInfo | None, made: Generation) -> None:
        """Keep the patched lane of ``made``, which answers ``request`` but for its strength."""
        if (at := _alpha(made)) is None or not is_kept(request):
            return
        texts = self._kept.setdefault(key_of(request, model), {})
        if made.patch is not None or at not in texts:
            texts[at] = _patched_alone(made)
        self._kept.move_to_end(key_of(request, model))
        while len(self._kept) > _MOST:
            self._kept.popitem(last=False)

    def find(self, request: Generate, model: ModelInfo | None) -> Generation | None:
        """The patched lane of ``request``, alone; None where it is not there."""
        alpha = request.recipe.alpha
        if isinstance(alpha, str) or request.curves or "patched" not in request.lanes:
            return None
        return self._of(request, model).get(alpha)

    def curve(self, request: Generate, model: ModelInfo | None) -> dict[float, float]:
        """KL(with context ‖ patched) after the query by strength, as far as it is known, by rising strength."""
        known = ((at, made.fit.get("patched")) for at, made in sorted(self._of(request, model).items()))
        return {at: fit.kl for at, fit in known if fit is not None and fit.kl is not None}

    def missing(self, request: Generate, model: ModelInfo | None, at: float) -> tuple[float, ...]:
        """The strengths that are not there, the likeliest to be asked for first, of those in steps from ``at``."""
        there = self._of(request, model)
        return tuple(alpha for alpha in dict.fromkeys(_ahead(at)) if alpha not in there and alpha != at)

    def _of(self, request: Generate, model: ModelInfo | None) -> dict[float, Generation]:
        return self._kept.get(key_of(request, model), {})


def _ahead(at: float) -> Iterator[float]:
    """Two steps to both sides, then the wide steps, then all others outward."""
    steps = [*_outward(at, STEP)]
    yield from (*steps[:4], *_outward(at, _WIDE), *steps)


def _outward(at: float, step: float) -> Iterator[float]:
    """The strengths that key after key leads to, to both sides by turns."""
    for pair in zip_longest(_to_the_end(at, step), _to_the_end(at, -step)):
        yield from (alpha for alpha in pair if alpha is not None)


def _to_the_end(at: float, step: float) -> Iterator[float]:
    while (alpha := stepped(at, step)) != at:
        yield alpha
        at = alpha


def is_tested(request: Generate) -> bool:
    """Whether a report on the patch follows its text."""
    return request.recipe.mode != "per-step" or bool(request.holdout)


def is_kept(request: Generate) -> bool:
    """Whether a text of the patch is good for as long as the program runs."""
    return not (request.recipe.metric == "ordinary" and request.recipe.background)


def key_of(request: Generate, model: ModelInfo | None) -> bytes:
    """Everything that a text depends on but the strength."""
    at_one = with_changes(request.recipe, alpha=1.0)
    what = fingerprint(model), with_changes(request, recipe=at_one, curves=False, lanes=LANES)
    return repr(what).encode("utf-8", "surrogatepass")  # JSON has no half characters


def _alpha(made: Generation) -> float | None:
    """The strength that was asked for; None where one was searched for, or no patch acted."""
    alpha = made.recipe.alpha
    return None if isinstance(alpha, str) or "patched" not in made.lanes else alpha


def _patched_alone(made: Generation) -> Generation:
    alone = {
        name: {lane: of for lane, of in getattr(made, name).items() if lane == "patched"}
        for name in ("lanes", "agreement", "fit")
    }
    return with_changes(made, **alone)


def joined(known: Generation, patched: Generation) -> Generation:
    """The texts of ``known`` with another patched lane."""
    return with_changes(
        patched,
        lanes={**known.lanes, **patched.lanes},
        agreement={**known.agreement, **patched.agreement},
        fit={**known.fit, **patched.fit},
        kept_prefix=known.kept_prefix,
    )
