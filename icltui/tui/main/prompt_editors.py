"""The two editors of the prompt, kept in step with the explorer's settings, and their tokens counted."""

from textual.timer import Timer

from icltui.report.kept_prefix import SINK, kept_words
from icltui.tui.draw.safe_text import display, fit
from icltui.tui.state.explorer import Explorer
from icltui.tui.widgets.modal_editor import ModalEditor
from icltui.values import TokenizedPrompt

COUNT_AFTER = 0.4
"""Seconds without a key before the tokens are counted."""
_KEPT_WIDTH = 20
"""Most cells of what is kept before the text."""


class PromptEditors:
    """Context and query."""

    def __init__(self, explorer: Explorer, context: ModalEditor, query: ModalEditor) -> None:
        self._explorer, self._context, self._query = explorer, context, query
        context.neighbours[1], query.neighbours[-1] = query, context
        self._timer: Timer | None = None

    def load(self) -> None:
        """Show the explorer's prompt."""
        prompt = self._explorer.settings.prompt
        self._context.load_text(prompt.context)
        self._query.load_text(prompt.query)

    def begin(self) -> None:
        """Write the context, the focus there: the next key may be its first letter."""
        self._context.focus_to_write()

    def take(self) -> None:
        """Bring what the editors hold into the explorer."""
        self._explorer.edit(self._context.text, self._query.text)

    def take_soon_counted(self) -> None:
        """Bring the text into the explorer, and count its tokens once the typing pauses."""
        self.take()
        if self._timer:
            self._timer.stop()
        self._timer = self._context.set_timer(COUNT_AFTER, self._explorer.count)

    def draw_counts(self) -> None:
        """Write how many tokens each has, or why that is not known, into the borders."""
        prompt, results = self._explorer.settings.prompt, self._explorer.results
        counts, uncounted = results.counts, results.uncounted
        if not prompt.query:  # no model is asked then, and nothing may look as if one were
            self._query.show_count(0)
            self._context.remark("counted with a query")
        elif uncounted and uncounted[0] == prompt:
            self._query.remark("not counted")
            self._context.remark(display(uncounted[1]))
        else:
            tokens = counts[1] if counts and counts[0] == prompt else None
            n_tokens = len(tokens.context) if tokens else None
            self._context.show_count(n_tokens, self._kept(tokens), self._room(tokens))
            self._query.show_count(len(tokens.query) if tokens else None)

    def _kept(self, tokens: TokenizedPrompt | None) -> str:
        """What is kept before the text in both runs; a warning where nothing is and the model has a sink."""
        if tokens is None:
            return ""
        if tokens.prefix:
            return f"{fit(kept_words(tokens.ids, tokens.prefix), _KEPT_WIDTH).rstrip()} + "
        model = self._explorer.model
        return f"{SINK} nothing kept before " if model and model.sink else ""

    def _room(self, tokens: TokenizedPrompt | None) -> str:
        """How much of the model's positions the whole prompt takes, once that is half of them."""
        model = self._explorer.model
        if tokens is None or model is None or model.window is None:
            return ""
        n = len(tokens.prefix) + len(tokens.context) + len(tokens.query)
        return f"{n:,} of {model.window:,} · " if 2 * n >= model.window else ""
