"""The patch that was built last, kept with the tokens of its tests for a next job that wants it at another strength.

Enters: a :class:`~icltui.engine.patch.build.PatchSpec`. Leaves: the patch at strength 1. Building a patch reads the
contextual text and fits every layer, and depends on all of the spec but the strengths and the held-out queries.
"""

from dataclasses import dataclass, replace

from msgspec.structs import replace as with_changes

from icltui.api.progress_callback import ProgressCallback
from icltui.engine.patch.build import BuiltPatch, PatchSpec, build_patch, with_layer_alphas
from icltui.engine.patch.evaluate import TestTokens, tokens_to_test
from icltui.engine.prompts.tokenize import Ids


@dataclass
class LastPatch:
    """At most one patch, with its model; whoever drops the model calls :meth:`forget`."""

    built: BuiltPatch | None = None
    _tested: tuple[tuple[Ids, ...], TestTokens] | None = None
    """The held-out queries, and the tokens that it was tested on."""

    def build(self, spec: PatchSpec, on_progress: ProgressCallback) -> BuiltPatch:
        """The patch at strength 1, its layers at their own, built unless the last one is it.

        Raises:
            BadInput: see :func:`icltui.engine.patch.build.build_patch`.
        """
        if self.built is not None and _apart_from_strength(self.built.spec) == _apart_from_strength(spec):
            return with_layer_alphas(self.built, spec)
        self.forget()  # so that two are never in memory
        self.built = build_patch(_at_one(spec), on_progress=on_progress)
        return with_layer_alphas(self.built, spec)

    def test_tokens(self, built: BuiltPatch, on_progress: ProgressCallback) -> TestTokens:
        """The tokens that ``built`` is tested on, read unless it is the last patch, whatever its strength."""
        last = self.built
        if last is None or built.fitted is not last.fitted or built.prompt is not last.prompt:
            return tokens_to_test(built, on_progress)
        if self._tested is None or self._tested[0] != built.spec.holdout:
            self._tested = None
            self._tested = built.spec.holdout, tokens_to_test(built, on_progress)
        return self._tested[1]

    def forget(self) -> None:
        """Free the patch, which also holds on to its model."""
        self.built = self._tested = None


def _apart_from_strength(spec: PatchSpec) -> PatchSpec:
    recipe = with_changes(spec.recipe, alpha=1.0, layer_alphas="")
    return replace(spec, recipe=recipe, holdout=())


def _at_one(spec: PatchSpec) -> PatchSpec:
    """The spec with every layer at strength 1."""
    return replace(spec, recipe=with_changes(spec.recipe, layer_alphas=""))
