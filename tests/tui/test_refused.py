"""Layers that the check at load refused: drawn apart, with the reason, and never asked for."""

import msgspec
import pytest
from textual.content import Content

from icltui.api.messages import ModelLoaded
from icltui.tui.state.run_settings import RunSettings, refused_by
from icltui.tui.widgets.messages import LayerToggled
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk

USABLE = {0, 1, 2, 4, 5}
MODEL = samples.ODD_MODEL
REFUSED = refused_by(MODEL)


@pytest.fixture
async def desk():
    """The example on a model that refuses layer 3."""
    async with open_desk(samples.session(is_measured=False)) as one:
        await one.until(lambda: one.client.requests)
        one.client.finish(ModelLoaded(model=MODEL))
        one.client.finish(*samples.MEASURE)
        one.client.finish(*samples.generate(("context", "plain")))
        await one.drawn()
        yield one


async def test_it_is_drawn_apart_and_says_why(desk: Desk) -> None:
    assert "[-] 3  refused" in desk.text()
    assert "3 Layers  5/6" in desk.text()
    assert isinstance(desk.screen.layer_list.tooltip, Content)
    assert samples.REFUSED.reason in desk.screen.layer_list.tooltip.plain
    await desk.press("3", "g", "j", "j", "j")
    await desk.drawn()
    assert samples.REFUSED.reason[:30] in desk.text()
    await desk.press("8")
    await desk.drawn()
    assert f"demo: layer 3: refused: {samples.REFUSED.reason}" in desk.explorer.engine_status.lines


async def test_it_cannot_be_ticked(desk: Desk) -> None:
    await desk.press("3", "g", "j", "j", "j")
    assert desk.screen.shown_layer == 3
    await desk.press("space")
    assert desk.toasts() == [f"layer 3 is refused: {samples.REFUSED.reason}"]
    assert desk.explorer.ticked == tuple(sorted(USABLE))
    assert not desk.explorer.is_unsaved


async def test_all_none_and_invert_leave_it_out(desk: Desk) -> None:
    for key, layers in (("n", set()), ("i", USABLE), ("n", set()), ("a", USABLE)):
        await desk.press("3", key)
        assert set(desk.explorer.ticked) == layers
    assert desk.explorer.settings.layers == "all"
    await desk.press("3", "g", "space")
    assert desk.explorer.settings.layers == "1-2,4-5"


async def test_keys_on_layers_go_by_the_choice_and_not_by_what_is_drawn_yet(desk: Desk) -> None:
    desk.screen.layer_list.ticked = frozenset()  # as before the screen is drawn anew
    desk.screen.shown_layer = 0
    desk.screen.action_toggle_layer()
    assert desk.explorer.settings.layers == "1-2,4-5"
    desk.screen.layer_list.ticked = frozenset()
    desk.screen.action_tick_layers("invert")
    assert desk.explorer.settings.layers == "0"
    desk.screen.layer_list.post_message(LayerToggled(1))
    await desk.until(lambda: desk.explorer.settings.layers == "0-1")


async def test_another_model_without_it_has_it_again(desk: Desk) -> None:
    desk.explorer.jobs.ask([desk.explorer.models.load])
    desk.client.finish(samples.LOADED)
    await desk.until(lambda: desk.screen.layer_list.tooltip is None)
    assert "refused" not in desk.text()
    assert len(desk.explorer.ticked) == samples.N_LAYERS


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("all", USABLE),
        ("none", set()),
        ("last", {5}),
        ("0-2", {0, 1, 2}),
        ("0-4", USABLE),
        ("3", USABLE),
        ("9", USABLE),
    ],
)
def test_whatever_a_session_says_a_request_has_usable_layers_only(text: str, layers: set[int]) -> None:
    settings = RunSettings(layers=text).fitted(MODEL)
    assert set(settings.chosen(samples.N_LAYERS, REFUSED)) == layers
    assert (settings.layers == "all") is (layers == USABLE)
    assert settings.fitted(MODEL) == settings


def test_the_last_layer_may_be_the_refused_one() -> None:
    model = msgspec.structs.replace(MODEL, refused=(msgspec.structs.replace(samples.REFUSED, layer=5),))
    assert RunSettings(layers="last").fitted(model).layers == "4"
