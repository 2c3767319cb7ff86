"""One line under the lanes: what the patch of the patched lane does where it was not made, in words."""

from textual.widgets import Static

from icltui.tui.draw.safe_text import content
from icltui.tui.state.explorer import Explorer
from icltui.tui.state.patch_sentence import patch_sentence


class PatchSentence(Static):
    """The line; hidden where there is nothing to say."""

    DEFAULT_CSS = """
    PatchSentence {
        height: auto;
        max-height: 2;
        padding: 0 1;
        display: none;
        text-style: bold;
        &.-said { display: block; }
    }
    """

    def __init__(self, explorer: Explorer) -> None:
        super().__init__("", id="patch-sentence", markup=False)
        self._explorer = explorer
        self._drawn = ""

    def draw_sentence(self) -> None:
        """Say it of the patch that is on the screen."""
        sentence = patch_sentence(self._explorer.results, self._explorer.settings)
        if sentence != self._drawn:
            self._drawn = sentence
            self.update(content(sentence))
            self.set_class(bool(sentence), "-said")
