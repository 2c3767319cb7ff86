"""The three lanes side by side: text, next tokens, divergence and agreement with the context lane.

The first token at which a lane differs from the context lane is underlined, since colour alone may not show.
"""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from icltui.api.messages import Generate
from icltui.report.kept_prefix import SINK, is_patch_ruled
from icltui.tui.draw.clipboard_text import lane_copy
from icltui.tui.draw.safe_text import display, fit, number, passage
from icltui.tui.state.results import Results
from icltui.tui.state.run_settings import RunSettings
from icltui.tui.state.staleness import lane_note
from icltui.tui.widgets.bordered import Bordered
from icltui.tui.widgets.vim_scroll import VimScroll
from icltui.values import LANE_TITLES, LANES, Agreement, Candidate, Lane, LaneStep, PatchTest, Tested
from icltui.values.recipe import Components

_TITLES: dict[Lane, str] = {**LANE_TITLES, "context": f"9 {LANE_TITLES['context']}"}
_PARTS: dict[Components, str] = {"both": "ΔW+Δb", "weights": "ΔW alone", "shift": "Δb alone"}
_OFF = "ΔW is off.\n\n^t (or d) turns it on: the query alone, through weights changed the way the context changed them."
_EMPTY = "no text yet"
_KINDS: dict[Tested, str] = {
    "fitted tokens": "fitted",
    "later tokens": "later",
    "other queries": "others",
    "other queries, later": "+later",
}


def lane_text(steps: Sequence[LaneStep], first_difference: int | None) -> Content:
    """The whole text of a lane, the first differing token underlined."""
    text = steps[-1].text
    if first_difference is None:
        return passage(text)
    start = len(steps[first_difference - 1].text) if first_difference else 0
    end = len(steps[first_difference].text)
    return passage(text, start, end, "bold underline $text-warning")


def candidate_lines(top: Sequence[Candidate], width: int) -> Content:
    """A line for each candidate: token, probability, bar."""
    name, bar = (width - 6, 0) if width < 20 else (max(8, (width - 6) // 2), (width - 6) // 2 - 1)
    lines = [Content("next token" if width >= 12 else "next").stylize("$foreground-muted")]
    for candidate in top:
        filled = "█" * round(candidate.probability * bar)
        name_and_number = f"{fit(candidate.token.text, max(name, 1))} {candidate.probability:4.2f} "
        lines.append(Content(name_and_number) + Content.styled(filled, "$accent"))
    return Content("\n").join(lines)


def patch_test_lines(tests: Sequence[PatchTest], width: int) -> Content:
    """For each kind of tokens the KL with the patch and without it, and with room the count of equal tokens."""
    lines = [Content.styled("patch on   KL (without)", "$foreground-muted")]
    for test in tests:
        ours, theirs = (number(kl, 6).strip() for kl in (test.kl, test.kl_plain))
        count = f"{test.equal}/{test.n_tokens}".ljust(8) if width >= 30 else " "
        line = f"{_KINDS[test.what]:<7}{count}{ours} "
        lines.append(Content.assemble(line, (f"({theirs})", "$foreground-muted")))
    return Content("\n").join(lines)


class LanePane(VerticalScroll, Bordered, VimScroll, can_focus=True):
    """The pane of one lane."""

    def __init__(self, lane: Lane) -> None:
        super().__init__(id=f"lane-{lane}", classes="pane")
        self.lane = lane
        self._body = Static(classes="lane-body")
        self._steps: Sequence[LaneStep] = ()
        self._agreement: Agreement | None = None
        self._tests: Sequence[PatchTest] = ()
        self._hint = _EMPTY
        self._drawn: object = None

    def compose(self) -> ComposeResult:
        yield self._body

    def show(self, results: Results, settings: RunSettings) -> None:
        """Draw what ``results`` hold for this lane."""
        is_off = self.lane == "patched" and not settings.is_delta_on
        self._steps = () if is_off else results.texts.steps.get(self.lane, ())
        self._agreement = None if self.lane == "context" else results.texts.agreement(self.lane)
        self._tests = results.patch.tests if self.lane == "patched" and results.patch and self._steps else ()
        self._hint = _OFF if is_off else _EMPTY
        is_stale = bool(self._steps) and not results.is_lane_fresh(self.lane, settings)
        self.set_class(is_stale, "stale")
        self.frame(
            self._title(results, settings),
            display(lane_note(results, settings, self.lane)) if is_stale else self._summary(results),
        )
        self._draw()

    def _title(self, results: Results, settings: RunSettings) -> str:
        """What the lane is; of the patched lane, the patch that its text comes from."""
        if self.lane != "patched" or not settings.is_delta_on:
            return _TITLES[self.lane]
        origin = results.texts.origins.get("patched") if self._steps else None
        recipe = origin.request.recipe if origin and isinstance(origin.request, Generate) else settings.recipe
        is_constant = recipe.mode != "per-step" and recipe.carrier == "bias"
        parts = _PARTS[recipe.components].replace("Δb", "bias" if is_constant else "Δb")
        alpha = recipe.alpha if isinstance(recipe.alpha, str) else f"{recipe.alpha:g}"
        strength = " · " if recipe.alpha == 1 else f" α {alpha} "
        return f"{parts}{strength}{recipe.mode}"  # the parts first: a narrow border cuts the end

    def _summary(self, results: Results) -> str:
        if not self._steps:
            return ""
        if self._agreement is None:
            return f"{len(self._steps)} tok"
        divergence = number(self._steps[0].kl_to_context, 6).strip()
        return f"{self._sink(results)}KL {divergence}, {self._agreement.equal}/{self._agreement.total} equal"

    def _sink(self, results: Results) -> str:
        """A mark where the patch is about an attention sink."""
        made, origin = results.generation, results.generation_origin
        if self.lane != "patched" or made is None or origin is None or origin.model is None:
            return ""
        is_ruled = is_patch_ruled(origin.model.sink, made.ids, made.recipe)
        return f"{SINK} of the sink: " if is_ruled else ""

    def copied(self) -> str:
        """The title, the whole text, and the candidates after the query."""
        return lane_copy(" · ".join(filter(None, self._frame)).removeprefix("9 "), self._steps)

    def on_resize(self) -> None:
        """Draw the bars to the new width."""
        self._draw()

    def _draw(self) -> None:
        width = max(self.content_size.width - 1, 1)
        drawn = (self._steps, self._agreement, self._tests, self._hint, width)
        if drawn != self._drawn:
            self._drawn = drawn
            self._body.update(self._text(width))

    def _text(self, width: int) -> Content:
        if not self._steps:
            return Content.styled(self._hint, "$foreground-muted")
        first = self._agreement.first_difference if self._agreement else None
        parts = [lane_text(self._steps, first), candidate_lines(self._steps[0].top[:5], width)]
        if self._tests:
            parts.insert(1, patch_test_lines(self._tests, width))
        return Content("\n\n").join(parts)


class Lanes(Horizontal):
    """The panes of all lanes, side by side."""

    def compose(self) -> ComposeResult:
        for lane in LANES:
            yield LanePane(lane)

    def show(self, results: Results, settings: RunSettings) -> None:
        """Draw every lane."""
        for pane in self.query(LanePane):
            pane.show(results, settings)
