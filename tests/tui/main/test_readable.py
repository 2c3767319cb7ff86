"""What is written on the screen reads on its background, in every pane of either theme."""

import pytest
from rich.segment import Segment

from icltui.api.messages import VerificationEnded
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk
from tests.tui.draw.test_colormap import background, contrast, ink

LEAST = 3.0
"""WCAG's least contrast of large text, which a bar or a mark is."""


def unreadable(desk: Desk) -> list[tuple[str, float]]:
    """The words on the screen that have less contrast, each with what it has."""
    segments = [segment for strip in desk.screen._compositor.render_strips() for segment in strip]
    return [(segment.text, found) for segment in segments if (found := _contrast(segment)) < LEAST]


def _contrast(segment: Segment) -> float:
    style = segment.style
    is_word = any(character.isalnum() for character in segment.text)
    if not is_word or style is None or style.color is None or style.bgcolor is None:
        return LEAST
    return contrast(ink(style), background(style))


@pytest.mark.parametrize("theme", ["icltui-light", "icltui-dark"])
async def test_every_word_reads(theme: str) -> None:
    async with open_desk(samples.session(), size=(120, 40)) as desk:
        desk.app.theme = theme
        await desk.settle()
        await desk.press("9", "d")
        desk.client.finish(*samples.generate(("context", "plain", "patched")))
        await desk.press("v")
        desk.client.finish(VerificationEnded(verification=samples.VERIFICATION))
        for tab in "1234567890xut":
            await desk.press(tab)
            await desk.drawn()
            assert unreadable(desk) == [], tab
