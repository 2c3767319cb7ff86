"""Lines under the lanes: what the patch of the patched lane does where it was not made, in words."""

from textual.content import Content
from textual.widgets import Static

from icltui.tui.draw.safe_text import content
from icltui.tui.state.explorer import Explorer
from icltui.tui.state.patch_sentence import patch_sentence, words_of_tests

_STYLES = ("bold", "$text-muted")
"""Of the sentence, and of the tests."""


class PatchSentence(Static):
    """The line; hidden where there is nothing to say."""

    DEFAULT_CSS = """
    PatchSentence {
        height: auto;
        max-height: 4;
        padding: 0 1;
        display: none;
        &.-said { display: block; }
    }
    """

    def __init__(self, explorer: Explorer) -> None:
        super().__init__("", id="patch-sentence", markup=False)
        self._explorer = explorer
        self._drawn = ("", "")

    def draw_sentence(self) -> None:
        """Say it of the patch that is on the screen."""
        results, settings = self._explorer.results, self._explorer.settings
        is_shown = settings.is_delta_on and results.is_lane_fresh("patched", settings)
        tests = results.patch.tests if is_shown and results.patch else ()
        said = patch_sentence(results, settings), words_of_tests(tests)
        if said != self._drawn:
            self._drawn = said
            lines = [content(line, style) for line, style in zip(said, _STYLES, strict=True) if line]
            self.update(Content("\n").join(lines))
            self.set_class(bool(lines), "-said")
