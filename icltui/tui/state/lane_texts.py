"""The text of each lane as it is generated, token by token, and the complete text before it."""

from dataclasses import replace

from icltui.api.messages import Generate
from icltui.tui.state.provenance import Provenance
from icltui.values import Agreement, Generation, Lane, LaneStep


class LaneTexts:
    """Steps of each lane; a run that ends early gives way to the complete text before it."""

    def __init__(self) -> None:
        self.steps: dict[Lane, tuple[LaneStep, ...]] = {}
        """Replaced, never changed in place."""
        self.origins: dict[Lane, Provenance] = {}
        self._complete: dict[Lane, tuple[tuple[LaneStep, ...], Provenance]] = {}
        self._counted: tuple[Generate | None, int] = (None, 0)
        """The request that brought the last step, and how many it has brought."""

    def add(self, request: Generate, step: LaneStep, origin: Provenance) -> None:
        """Add a step to its lane; its first step replaces the lane's old text, so that nothing flickers before.

        A text that does not depend on what changed, such as the context's under another patch, stays as it is.
        """
        self._counted = request, self.n_steps(request) + 1
        if self._is_known(step, origin):
            return
        before = self.steps.get(step.lane, ())[: step.index]
        self.steps = {**self.steps, step.lane: (*before, step)}
        self.origins[step.lane] = origin

    def _is_known(self, step: LaneStep, origin: Provenance) -> bool:
        steps, known = self._complete.get(step.lane, ((), None))
        if known is None or known is not self.origins.get(step.lane):
            return False
        is_same = known.begins(origin.request, origin.model, step.lane) and step.index < len(steps)
        return is_same and steps[step.index].token.id == step.token.id

    def complete(self, generation: Generation, origin: Provenance) -> None:
        """Take the complete text of each lane of ``generation``."""
        for lane, text in generation.lanes.items():
            self.steps = {**self.steps, lane: text.steps}
            self.origins[lane] = origin
            self._complete[lane] = (text.steps, origin)

    def give_up(self) -> bool:
        """Restore the complete text of each lane that is not, or mark it as stopped; whether there was any."""
        cut = [lane for lane in self.steps if self._is_cut(lane)]
        for lane in cut:
            partial = (self.steps[lane], replace(self.origins[lane], is_stopped=True))
            steps, self.origins[lane] = self._complete.get(lane, partial)
            self.steps = {**self.steps, lane: steps}
        return bool(cut)

    def _is_cut(self, lane: Lane) -> bool:
        origin, complete = self.origins[lane], self._complete.get(lane)
        return not origin.is_stopped and (complete is None or origin is not complete[1])

    def n_steps(self, request: Generate) -> int:
        """Steps that ``request`` has brought so far, also those of a text that stays as it is."""
        counted, n_steps = self._counted
        return n_steps if counted is request else 0

    def agreement(self, lane: Lane) -> Agreement | None:
        """How ``lane`` compares with the context lane so far; None before both have begun."""
        ours, theirs = self.steps.get(lane, ()), self.steps.get("context", ())
        total = min(len(ours), len(theirs))
        if not total:
            return None
        equal = [a.token.id == b.token.id for a, b in zip(ours, theirs, strict=False)]
        first = next((at for at, is_equal in enumerate(equal) if not is_equal), None)
        return Agreement(equal=sum(equal), total=total, first_difference=first)
