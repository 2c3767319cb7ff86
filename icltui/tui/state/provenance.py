"""Provenance of a result: the request that it answers and the model that did. It distinguishes results."""

from dataclasses import dataclass

from msgspec.structs import replace as with_changes

from icltui.api.messages import Generate, Request
from icltui.values import Lane, ModelInfo
from icltui.values.prompt import Prompt


@dataclass(frozen=True)
class Provenance:
    """A request, and the model that answered it."""

    request: Request
    model: ModelInfo | None
    """None where numbers were saved without their model."""
    is_stopped: bool = False
    """Whether the run was over before the result was whole."""

    def is_of(self, model: ModelInfo | None) -> bool:
        """Whether ``model`` has the weights that the result was computed with."""
        return fingerprint(self.model) == fingerprint(model)

    def is_run_of(self, prompt: Prompt, model: ModelInfo | None) -> bool:
        """Whether it ran ``prompt`` on ``model``."""
        return self.is_of(model) and getattr(self.request, "prompt", None) == prompt

    def is_what(self, request: Request, model: ModelInfo | None, lane: Lane | None = None) -> bool:
        """Whether ``request``, or a lane of it, would bring the same from ``model``."""
        return self.is_of(model) and self.answers(request, lane)

    def begins(self, request: Request, model: ModelInfo | None, lane: Lane) -> bool:
        """Whether the lane that ``request`` would bring from ``model`` begins as this one, however long it gets."""
        ours = self.request
        if not isinstance(ours, Generate) or not isinstance(request, Generate):
            return False
        return self.is_what(with_changes(request, n_tokens=ours.n_tokens), model, lane)

    def answers(self, request: Request, lane: Lane | None = None) -> bool:
        """Whether ``request`` asks for the same, or the same lane; only the patched one depends on the patch."""
        ours = self.request
        if lane is None or not isinstance(ours, Generate) or not isinstance(request, Generate):
            return ours == request
        if _text(ours, lane) != _text(request, lane):
            return False
        patch = (ours.layers, ours.recipe, ours.holdout)
        return lane != "patched" or patch == (request.layers, request.recipe, request.holdout)


def _text(request: Generate, lane: Lane) -> tuple[object, ...]:
    """What a lane's text depends on; no text depends on how the context is cut."""
    prompt = with_changes(request.prompt, unit=Prompt().unit)
    return prompt, request.n_tokens, request.sampling, request.forced.get(lane)


def fingerprint(model: ModelInfo | None) -> str | None:
    """What tells a model's weights from others; None without a model."""
    return model.fingerprint if model else None
