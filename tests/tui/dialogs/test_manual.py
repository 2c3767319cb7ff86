"""The manual in the explorer: every page by keys alone, in any size, over the help and out of the palette."""

import pytest
from textual.widgets import OptionList

from icltui.storage.manual import TOPICS
from icltui.storage.manual import page as page_of
from icltui.tui.dialogs.help import HelpDialog
from icltui.tui.dialogs.manual import ManualDialog, PageView
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk
from tests.tui.screen_checks import check_screen


def topic(desk: Desk) -> str:
    """The topic whose page is shown."""
    option = desk.app.screen.query_one(OptionList).highlighted_option
    return str(option and option.id)


def title(name: str) -> str:
    """The first words of the page's title, which no width cuts."""
    return " ".join(page_of(name).splitlines()[0].removeprefix("# ").split()[:3])


async def open_manual(desk: Desk) -> PageView:
    """By the keys that a reader presses."""
    await desk.press("question_mark", "m")
    await desk.until(lambda: isinstance(desk.app.screen, ManualDialog))
    page = desk.app.screen.query_one(PageView)
    await desk.until(lambda: page.has_focus)
    return page


async def test_it_opens_from_the_help_and_closes_to_it(desk: Desk) -> None:
    await open_manual(desk)
    await desk.until(lambda: "From the first start to a patch of your own" in desk.text())
    await desk.press("escape")
    await desk.until(lambda: isinstance(desk.app.screen, HelpDialog))
    await desk.press("escape")
    await desk.until(lambda: desk.app.screen is desk.screen)


@pytest.mark.soak
@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_every_page_is_reached_by_one_key(size: tuple[int, int]) -> None:
    async with open_desk(samples.session(), size=size) as desk:
        await desk.settle()
        desk.app.animation_level = "none"
        page = await open_manual(desk)
        for name in TOPICS:
            await desk.until(lambda name=name: topic(desk) == name)
            await desk.until(lambda name=name: title(name) in desk.text())
            await desk.until(lambda: page.max_scroll_x == 0)
            assert page.scroll_offset.y == 0
            check_screen(desk.app)
            await desk.press("G")
            await desk.until(lambda: page.scroll_offset.y == page.max_scroll_y)
            await desk.press("right_square_bracket")
        await desk.until(lambda: topic(desk) == "tutorial")
        await desk.press("left_square_bracket")
        await desk.until(lambda: topic(desk) == list(TOPICS)[-1])


async def test_the_topics_are_a_list_to_choose_from(desk: Desk) -> None:
    page = await open_manual(desk)
    await desk.press("shift+tab", *["down"] * list(TOPICS).index("models"))
    await desk.until(lambda: topic(desk) == "models")
    await desk.until(lambda: "Hugging Face causal language model" in desk.text())
    await desk.press("enter")
    await desk.until(lambda: page.has_focus)
