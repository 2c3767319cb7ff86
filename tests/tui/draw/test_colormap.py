"""The ramp: its lightness changes evenly whatever the theme and the terminal, and ink is read on every shade of it."""

from itertools import pairwise

import pytest
from rich.style import Style
from textual.app import App
from textual.color import Color

from icltui.tui.draw.colormap import GLYPHS, Ramp, _ramp, ramp
from icltui.tui.draw.oklab import OKLab, between
from icltui.tui.system.theme import DARK, LIGHT

RAMPS = [_ramp(is_dark, is_256, False) for is_dark in (True, False) for is_256 in (True, False)]


def luminance(colour: Color) -> float:
    """WCAG's relative luminance."""
    parts = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in colour.normalized)
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def contrast(one: Color, other: Color) -> float:
    """WCAG's contrast ratio of two colours."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def background(style: Style) -> Color:
    assert style.bgcolor is not None
    return Color.from_rich_color(style.bgcolor)


def ink(style: Style) -> Color:
    assert style.color is not None
    return Color.from_rich_color(style.color)


@pytest.mark.parametrize("shades", RAMPS)
def test_lightness_goes_one_way(shades: Ramp) -> None:
    found = [luminance(background(style)) for style in shades.shades]
    ascending = found if found[0] < found[-1] else found[::-1]
    assert all(low < high for low, high in pairwise(ascending))


@pytest.mark.parametrize("shades", RAMPS)
def test_ink_reads_on_every_shade(shades: Ramp) -> None:
    assert min(contrast(ink(style), background(style)) for style in shades.shades) > 3.5


@pytest.mark.parametrize(("theme", "is_dark"), [(DARK, True), (LIGHT, False)])
def test_the_ramp_begins_near_the_background_and_ends_at_the_accent(theme, is_dark: bool) -> None:
    shades = _ramp(is_dark, False, False)
    ground, accent = Color.parse(theme.background), Color.parse(theme.accent)
    assert contrast(background(shades.style(0.0)), ground) < 1.25
    assert contrast(background(shades.style(1.0)), accent) < 1.7
    assert all(contrast(ink(style), ground) > 2.5 for style in shades.inks)


@pytest.mark.parametrize("is_dark", [True, False])
def test_both_depths_show_nearly_the_same(is_dark: bool) -> None:
    fine, coarse = _ramp(is_dark, False, False), _ramp(is_dark, True, False)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        assert contrast(background(fine.style(share)), background(coarse.style(share))) < 2.2


def test_the_ends_of_the_ramp_are_its_first_and_last_shade() -> None:
    shades = _ramp(True, False, False)
    assert (shades.style(0.0), shades.style(1.0)) == (shades.shades[0], shades.shades[-1])
    assert (shades.bar(Style())[0].style, shades.bar(Style())[-1].style) == (
        shades.shades[0],
        shades.shades[-1],
    )


async def test_a_theme_has_its_ramp_and_no_colour_has_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    app: App[None] = App()
    async with app.run_test():
        app.theme = "textual-light"
        assert luminance(background(ramp(app).style(0.0))) > luminance(background(ramp(app).style(1.0)))
        assert ramp(app, True).bar(Style())[0].text == GLYPHS
    monkeypatch.setenv("NO_COLOR", "1")
    app = App()
    async with app.run_test():
        assert ramp(app).needs_glyphs


def test_oklab_gives_the_colours_of_its_definition() -> None:
    # Ottosson 2020: white, and sRGB red as converted there.
    assert OKLab(1.0, 0.0, 0.0).hex == "#ffffff"
    assert OKLab(0.627955, 0.224863, 0.125846).hex == "#ff0000"
    assert between([OKLab(0, 0, 0), OKLab(1, 0, 0), OKLab(0, 1, 0)], 0.75) == OKLab(0.5, 0.5, 0)
