"""The explorer's screen is a thin one: what can be done on it lies in objects of its own, each under one name."""

import inspect
from collections import Counter

from textual.actions import parse

from icltui.tui.actions import ACTIONS
from icltui.tui.main.actions_base import ScreenActions
from icltui.tui.main.screen import _TYPED, ExplorerScreen
from icltui.tui.terminal.sure_repaint import SureRepaint
from tests.tui.conftest import Desk

MOST_METHODS = 40


def test_its_classes_are_textuals() -> None:
    bases = {*ExplorerScreen.__bases__} - {SureRepaint}  # which is about Textual, not about the explorer
    assert all(base.__module__.startswith("textual.") for base in bases)


def test_it_has_few_methods_of_its_own() -> None:
    methods = [name for name, thing in vars(ExplorerScreen).items() if inspect.isfunction(thing)]
    assert 10 < len(methods) <= MOST_METHODS
    assert not [name for name in methods if name.startswith("action_")]


def offered(desk: Desk) -> dict[str, ScreenActions]:
    """The object behind each action that the screen offers as its own."""
    methods = {name: thing for name, thing in vars(desk.screen).items() if name.startswith("action_")}
    return {name: method.__self__ for name, method in methods.items()}


async def test_every_action_resolves_to_one_objects_method(desk: Desk) -> None:
    owners = offered(desk)
    for action in ACTIONS:
        namespace, name, parameters = parse(action.action)
        assert namespace in ("", "app"), action
        for called in filter(None, (name, _TYPED.get(name))):
            owner = desk.app if namespace else owners[f"action_{called}"]
            inspect.signature(getattr(owner, f"action_{called}")).bind(*parameters)


async def test_no_two_objects_offer_one_action(desk: Desk) -> None:
    owners = {type(owner): owner for owner in offered(desk).values()}
    counts = Counter(name for owner in owners.values() for name in owner.methods())
    assert len(owners) > 5
    assert set(counts.values()) == {1}
