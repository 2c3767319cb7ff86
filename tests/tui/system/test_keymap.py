"""The user's own keys: those that can be had act and are shown, the others are refused in one line."""

import re

import pytest

from icltui.api.messages import Measure
from icltui.storage.config import Config
from icltui.tui.actions import ACTIONS
from icltui.tui.dialogs.help import HelpDialog
from icltui.tui.dialogs.palette import Palette
from icltui.tui.dialogs.save_session import SaveSessionDialog
from icltui.tui.system.keymap import keymap
from tests.tui import samples
from tests.tui.conftest import open_desk


@pytest.mark.parametrize(
    ("asked", "keys"),
    [
        ({}, {}),
        ({"run": "f6"}, {"run": "f6"}),
        ({"zoom": "Z, !"}, {"zoom": "Z,exclamation_mark"}),
        ({"zoom": "+"}, {"zoom": "plus"}),
        ({"measure": "M", "previous_measure": "m"}, {"measure": "M", "previous_measure": "m"}),
        ({"save_as": "ctrl+x"}, {"save_as": "ctrl+x"}),
        ({"quit": "f10"}, {"quit": "f10"}),
        ({"run": "ctrl+r,f5"}, {}),
    ],
)
def test_keys_that_can_be_had(asked: dict[str, str], keys: dict[str, str]) -> None:
    assert keymap(asked) == (keys, ())


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"rum": "f6"}, "'rum' is not an action: did you mean run?"),
        ({"[/]": "f6"}, "'[/]' is not an action: icltui config lists all"),
        ({"run": "f66"}, "run = 'f66' is not a key: write for example"),
        ({"run": "ctrl+"}, "run = 'ctrl+' is not a key: write for example"),
        ({"run": ""}, "run = '' is not a key: write for example"),
        ({"run": "hyper+x"}, "run = 'hyper+x' is not a key: write for example"),
        ({"run": "ctrl+i"}, "run = 'ctrl+i' reaches a program as tab in most terminals: choose another"),
        ({"run": "j"}, "run = 'j' is needed by the panes: choose another"),
        ({"run": "ctrl+p"}, "run = 'ctrl+p' is needed by the palette: choose another"),
        ({"quit": "q"}, "quit = 'q' would act while you type: choose a key with ctrl, or a function key"),
        ({"run": "?"}, "run = 'question_mark' is also that of help: choose another"),
    ],
)
def test_keys_that_cannot(asked: dict[str, str], line: str) -> None:
    keys, (fault,) = keymap(asked)
    assert keys == {}
    assert fault.startswith(f"config.toml: keys: {line}")


def test_two_that_want_one_key_get_neither_and_the_others_theirs() -> None:
    keys, faults = keymap({"run": "f6", "save": "f6", "zoom": "Z"})
    assert keys == {"zoom": "Z"}
    assert len(faults) == 2


def test_who_falls_back_to_a_usual_key_takes_it_from_nobody() -> None:
    keys, faults = keymap({"measure": "j", "zoom": "m"})
    assert keys == {}
    assert [fault.split()[2] for fault in faults] == ["measure", "zoom"]


def test_every_usual_key_is_one_that_the_file_may_say() -> None:
    for action in filter(lambda action: action.keys, ACTIONS):
        assert keymap({action.id: action.keys}) == ({}, ())


KEYS = {"run": "f6", "zoom": "Z", "save_as": "ctrl+x", "help": "f9", "quit": "f10"}


async def test_own_keys_act_and_the_usual_ones_no_more() -> None:
    async with open_desk(samples.session(), config=Config(keys=KEYS)) as desk:
        await desk.settle()
        n_requests = len(desk.client.requests)
        await desk.press("ctrl+r", "f5")
        assert len(desk.client.requests) == n_requests
        await desk.press("f6")
        await desk.until(lambda: any(isinstance(r, Measure) for r in desk.client.requests[n_requests:]))
        await desk.press("ctrl+x")
        await desk.until(lambda: isinstance(desk.app.screen, SaveSessionDialog))
        await desk.press("escape", "f10")
        await desk.until(lambda: desk.app._exit)


async def test_own_keys_are_shown_wherever_keys_are() -> None:
    async with open_desk(samples.session(), config=Config(keys=KEYS)) as desk:
        await desk.settle()
        assert "f6 Run" in desk.text().splitlines()[-1]
        await desk.press("ctrl+p")
        await desk.until(lambda: isinstance(desk.app.screen, Palette))
        await desk.press(*"run")
        await desk.until(lambda: re.search("Run +F6", desk.text()))
        await desk.press("escape", "escape", "f9")
        await desk.until(lambda: isinstance(desk.app.screen, HelpDialog))
        await desk.press("ctrl+d")  # behind the focused pane come all keys
        await desk.until(lambda: "F6" in desk.text())
        assert "^r F5" not in desk.text()


@pytest.mark.usefixtures("desk")
async def test_usual_keys_are_back_in_the_next_app() -> None:
    assert next(action for action in ACTIONS if action.id == "run").keys_text() == "^r F5"


async def test_a_bad_key_is_said_at_the_start() -> None:
    async with open_desk(samples.session(), config=Config(keys={"runn": "f6"})) as desk:
        await desk.pilot.pause()
        assert desk.toasts() == ["config.toml: keys: 'runn' is not an action: did you mean run?"]
