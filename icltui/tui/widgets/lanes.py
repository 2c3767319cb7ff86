"""The three lanes side by side: text by token, the token at the cursor, its alternatives.

One cursor for all lanes: the token of one index, whose numbers and alternatives are on the same lines everywhere.
"""

from typing import ClassVar, cast

from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.events import Click
from textual.geometry import Region, Size
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from icltui.api.messages import Generate
from icltui.report.kept_prefix import SINK, is_patch_ruled
from icltui.tui.draw.clipboard_text import lane_copy
from icltui.tui.draw.colormap import needs_glyphs, ramp
from icltui.tui.draw.lane_lines import LaneLines, LaneShade, LaneStyles, PaneRows, share_rows
from icltui.tui.draw.safe_text import display, number
from icltui.tui.state.results import Results
from icltui.tui.state.run_settings import RunSettings
from icltui.tui.state.staleness import lane_note
from icltui.tui.widgets.bindings import key_binding
from icltui.tui.widgets.bordered import Bordered
from icltui.values import LANE_TITLES, LANES, Agreement, Lane, LaneStep
from icltui.values.recipe import Components

_TITLES: dict[Lane, str] = {**LANE_TITLES, "context": f"9 {LANE_TITLES['context']}"}
_PARTS: dict[Components, str] = {"both": "ΔW+Δb", "weights": "ΔW alone", "shift": "Δb alone"}
_OFF = "ΔW is off.\n\n^t (or d) turns it on: the query alone, through weights changed the way the context changed them."
_EMPTY = "no text yet"
_BRANCHED = "↳"
_MARGIN = 1
"""Columns left and right of the text."""


class LanePane(ScrollView, Bordered, can_focus=True):
    """The pane of one lane; :class:`Lanes` has the cursor."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "lane--muted",
        "lane--strong",
        "lane--bar",
        "lane--cursor",
        "lane--other-cursor",
    }
    DEFAULT_CSS = """
    LanePane {
        width: 1fr;
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-gutter: stable;
        scrollbar-size-vertical: 1;
        & > .lane--muted { color: $text-muted; }
        & > .lane--strong { text-style: bold; }
        & > .lane--bar { color: $accent; }
        & > .lane--cursor {
            background: $foreground;
            color: $background;
            text-style: bold;
        }
        & > .lane--other-cursor {
            background: $block-cursor-blurred-background;
            color: $foreground;
            text-style: bold;
        }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("lanes.left", "h", "move_token(-1)", "Token before", "One token back, in all lanes"),
        key_binding("lanes.right", "l", "move_token(1)", "Token after", "One token on, in all lanes"),
        key_binding("lanes.first", "g,home", "move_token(-100000)", "First token", "To the first token"),
        key_binding("lanes.last", "G,end", "move_token(100000)", "Last token", "To the last token"),
        key_binding("lanes.down", "j,down", "move_choice(1)", "Next alternative", "The next alternative"),
        key_binding("lanes.up", "k,up", "move_choice(-1)", "Alternative before", "The alternative before"),
        key_binding("lanes.branch", "enter", "branch", "Branch", "Let this lane go on from the alternative"),
        key_binding(
            "lanes.continue",
            "plus",
            "screen.continue_lanes",
            "Continue",
            "As many tokens again",
        ),
        key_binding("lanes.shade", "s", "next_shade", "Shade", "Shade the tokens by KL or by p"),
        key_binding("lanes.page_down", "ctrl+d,pagedown", "page_down", "Page down", "Scroll the text down"),
        key_binding("lanes.page_up", "ctrl+u,pageup", "page_up", "Page up", "Scroll the text up"),
    ]

    def __init__(self, lane: Lane) -> None:
        super().__init__(id=f"lane-{lane}", classes="pane")
        self.lane = lane
        self._steps: tuple[LaneStep, ...] = ()
        self._first: tuple[LaneStep, ...] | None = None
        self._agreement: Agreement | None = None
        self._hint = _EMPTY
        self._n_forced = 0
        self._lines: LaneLines | None = None
        self._painted: list[list[Segment]] = []
        """The lines in sight."""

    @property
    def lanes(self) -> "Lanes":
        """All of them."""
        return cast("Lanes", self.parent)

    # What comes in.

    def show(self, results: Results, settings: RunSettings) -> None:
        """Draw what ``results`` hold for this lane."""
        is_off = self.lane == "patched" and not settings.is_delta_on
        steps = results.texts.steps
        self._steps = () if is_off else steps.get(self.lane, ())
        is_first = self.lane == "context"
        self._first = None if is_first else steps.get("context", ())
        self._agreement = None if is_first else results.texts.agreement(self.lane)
        self._hint = _OFF if is_off else _EMPTY
        origin = results.texts.origins.get(self.lane)
        request = origin.request if origin else None
        self._n_forced = len(request.forced.get(self.lane, ())) if isinstance(request, Generate) else 0
        is_stale = bool(self._steps) and not results.is_lane_fresh(self.lane, settings)
        self.set_class(is_stale, "stale")
        self.frame(
            self._title(results, settings),
            display(lane_note(results, settings, self.lane)) if is_stale else self._summary(results),
        )
        self.paint()

    def _title(self, results: Results, settings: RunSettings) -> str:
        """What the lane is; of the patched lane, the patch that its text comes from."""
        branch = f" {_BRANCHED}{self._n_forced}" if self._n_forced and self._steps else ""
        if self.lane != "patched" or not settings.is_delta_on:
            return f"{_TITLES[self.lane]}{branch}"
        origin = results.texts.origins.get("patched") if self._steps else None
        recipe = origin.request.recipe if origin and isinstance(origin.request, Generate) else settings.recipe
        is_constant = recipe.mode != "per-step" and recipe.carrier == "bias"
        parts = _PARTS[recipe.components].replace("Δb", "bias" if is_constant else "Δb")
        alpha = recipe.alpha if isinstance(recipe.alpha, str) else f"{recipe.alpha:g}"
        strength = " · " if recipe.alpha == 1 else f" α {alpha} "
        return f"{parts}{strength}{recipe.mode}{branch}"  # the parts first: a narrow border cuts the end

    def _summary(self, results: Results) -> str:
        if not self._steps:
            return ""
        if self._agreement is None:
            return f"{len(self._steps)} tok, shade {self.lanes.shade}"
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
        title = " · ".join(filter(None, self._frame)).removeprefix("9 ")
        return lane_copy(title.removesuffix(f", shade {self.lanes.shade}"), self._steps)

    @property
    def n_tokens(self) -> int:
        """Tokens that there are."""
        return len(self._steps)

    # What is drawn.

    def paint(self) -> None:
        """Draw the lines that changed, and no other."""
        size = self.scrollable_content_region.size
        if not self.is_mounted or size.width < 2 * _MARGIN + 1 or not size.height:
            return
        self._lines = self._laid_out(size)
        rows = self._lines.rows
        whole = Size(size.width, self._lines.n_lines + size.height - rows.text)
        if whole != self.virtual_size:
            self.virtual_size = whole
        before, self._painted = self._painted, [self._line(row) for row in range(size.height)]
        if len(before) != len(self._painted):
            self.refresh()
            return
        for row, (old, new) in enumerate(zip(before, self._painted, strict=True)):
            if old != new:
                self.refresh(Region(0, row, self.size.width, 1))

    def _laid_out(self, size: Size) -> LaneLines:
        lanes = self.lanes
        return LaneLines(
            steps=self._steps,
            first=self._first,
            hint=self._hint,
            n_forced=self._n_forced,
            at=lanes.token,
            chosen=lanes.choice,
            has_focus=self.has_focus,
            shade=lanes.shade,
            width=size.width - 2 * _MARGIN,
            rows=share_rows(size.height) if self._steps else PaneRows(size.height, 0, 0),
            styles=self._styles(),
            ramp=ramp(self.app),
        )

    def _styles(self) -> LaneStyles:
        muted, strong, bar, cursor, other = (
            self.get_component_rich_style(name)
            for name in ("lane--muted", "lane--strong", "lane--bar", "lane--cursor", "lane--other-cursor")
        )
        old = Style(dim=True) if self.has_class("stale") else Style()
        if needs_glyphs(self.app):
            cursor, other = Style(reverse=True, bold=True), Style(reverse=True)
        return LaneStyles(self.rich_style + old, muted + old, strong + old, bar + old, cursor, other)

    def _line(self, row: int) -> list[Segment]:
        if self._lines is None:
            return []
        is_text = row < self._lines.rows.text
        line = self._lines.text_line(row + self.scroll_offset.y) if is_text else self._fixed(row)
        return [Segment(" " * _MARGIN, self.rich_style), *line]

    def _fixed(self, row: int) -> list[Segment]:
        return [] if self._lines is None else self._lines.fixed_line(row - self._lines.rows.text)

    def render_line(self, y: int) -> Strip:
        """One line in sight."""
        segments = self._painted[y] if y < len(self._painted) else []
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)

    def notify_style_update(self) -> None:
        """Follow another theme."""
        super().notify_style_update()
        self.paint()

    def on_resize(self) -> None:
        """Wrap to the new width."""
        self._painted = []
        self.paint()

    def on_focus(self) -> None:
        self.lanes.paint()

    def on_blur(self) -> None:
        self.paint()

    def watch_scroll_y(self, before: float, after: float) -> None:
        """Draw the text that came in sight."""
        super().watch_scroll_y(before, after)
        self._painted = []
        self.paint()

    def reveal(self) -> None:
        """Scroll no further than it takes to see the token at the cursor."""
        if self._lines is None or (row := self._lines.page.rows.get(self.lanes.token)) is None:
            return
        n = self._lines.lines_per_row
        top, end, height = row * n, (row + 1) * n, self._lines.rows.text
        at = min(max(self.scroll_offset.y, end - height), top)
        if at != self.scroll_offset.y:
            self.scroll_to(y=at, animate=False, force=True, immediate=True)

    # What the user does.

    def action_move_token(self, step: int) -> None:
        """Another token, in all lanes."""
        self.lanes.move(step, self.n_tokens)

    def action_move_choice(self, step: int) -> None:
        """Another alternative of the token."""
        n = len(self._lines.candidates) if self._lines else 0
        self.lanes.choice = max(0, min(self.lanes.choice + step, n - 1))

    def action_next_shade(self) -> None:
        """Shade by the other number."""
        self.lanes.shade = "p" if self.lanes.shade == "KL" else "KL"

    async def action_branch(self) -> None:
        """Let this lane go on from the chosen alternative."""
        at, candidates = self.lanes.token, self._lines.candidates if self._lines else ()
        if self.lanes.choice < len(candidates):
            before = tuple(step.token.id for step in self._steps[:at])
            tokens = (*before, candidates[self.lanes.choice].token.id)
            await self.run_action(f"screen.branch_lane({self.lane!r}, {tokens!r})")

    def on_click(self, event: Click) -> None:
        """The cursor goes to the token, or to the alternative, under the mouse."""
        offset = event.get_content_offset(self)
        if offset is None or self._lines is None:
            return
        rows = self._lines.rows
        if offset.y < rows.text:
            row = (offset.y + self.scroll_offset.y) // self._lines.lines_per_row
            token = self._lines.page.unit_at(row, offset.x - _MARGIN, nearest=True)
            if token is not None and token >= 0:
                self.lanes.move(token - self.lanes.token, self.n_tokens)
        elif 0 <= (rank := offset.y - rows.text - rows.readout) < len(self._lines.candidates):
            self.lanes.choice = rank


class Lanes(Horizontal):
    """The panes of all lanes, side by side, with one cursor."""

    token: reactive[int] = reactive(0, repaint=False)
    """The index of the token whose numbers and alternatives are shown."""
    choice: reactive[int] = reactive(0, repaint=False)
    """The chosen alternative of the lane that has the focus."""
    shade: reactive[LaneShade] = reactive[LaneShade]("KL", repaint=False)
    """What the tokens are shaded by."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._shown: tuple[Results, RunSettings] | None = None

    def compose(self) -> ComposeResult:
        for lane in LANES:
            yield LanePane(lane)

    def show(self, results: Results, settings: RunSettings) -> None:
        """Draw every lane."""
        self._shown = results, settings
        for pane in self.query(LanePane):
            pane.show(results, settings)

    def move(self, step: int, n_tokens: int) -> None:
        """The token ``step`` further, of ``n_tokens``; its first alternative is chosen."""
        self.token = max(0, min(self.token + step, n_tokens - 1))

    def paint(self) -> None:
        """Draw what changed in every lane."""
        for pane in self.query(LanePane):
            pane.paint()

    def watch_token(self) -> None:
        self.choice = 0
        for pane in self.query(LanePane):
            pane.reveal()
        self.paint()

    def watch_choice(self) -> None:
        self.paint()

    def watch_shade(self) -> None:
        """Shade, and say by what."""
        if self._shown:
            self.show(*self._shown)
