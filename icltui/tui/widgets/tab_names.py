"""The names of the tabs of results as the title of their border: links, in the widest form that there is room for."""

from functools import lru_cache
from typing import NamedTuple

from textual.content import Content

from icltui.tui.state.pane_names import TABS, key_of
from icltui.tui.widgets.page_tabs import pane_link


class TabForm(NamedTuple):
    """How a tab's name is written in the border."""

    margin: str = ""
    """On both sides of it; where there is none, one blank is between two tabs."""
    blank: str = ""
    """Between key and name."""
    letters: int | None = None
    """Of the name of a tab that is not shown; None: all."""


_FORMS = (TabForm(" ", " "), TabForm(blank=" "), TabForm(), TabForm(letters=3))
"""From the widest to the narrowest: the first that there is room for is taken."""


@lru_cache(64)
def fitting_names(shown: str | None, room: int) -> Content:
    """The tabs' names in the widest form that ``room`` cells hold; each change of the numbers asks for them."""
    forms = (_names(shown, form) for form in _FORMS[:-1])
    return next(
        (names for names in forms if names.cell_length <= room),
        _names(shown, _FORMS[-1 if room > 0 else 0]),
    )


def _names(shown: str | None, form: TabForm) -> Content:
    """The tabs' names, the shown one whole and reversed."""
    links = (
        pane_link(tab, f"{key_of(tab)}{form.blank}{name}", tab == shown, form.margin)
        for tab in TABS
        for name in [tab.capitalize()[: None if tab == shown else form.letters]]
    )
    return Content("" if form.margin else " ").join(links)
