"""Every key of every screen, dialog and widget has an id and a tooltip, and none is one that a terminal lacks."""

import importlib
import pkgutil
from collections import Counter
from collections.abc import Iterator

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

import icltui.tui
from icltui.tui.actions import ACTIONS
from icltui.tui.dialogs.confirm import UNSAVED, ConfirmDialog
from icltui.tui.dialogs.help import help_sections

FORBIDDEN = {"ctrl+i", "ctrl+m", "ctrl+j", "ctrl+h", "ctrl+b", "ctrl+a", "ctrl+enter", "shift+enter"}
"""Tab, Enter, a line's end and Backspace on most lines; the prefixes of tmux and screen; what needs a new protocol."""
FOR_TEXT = {"ctrl+z", "ctrl+x", "ctrl+c", "ctrl+v", "ctrl+y", "ctrl+k", "ctrl+w"}
"""What an editor has; the explorer's screen leaves them to it."""


def nodes() -> Iterator[type[DOMNode]]:
    """Every class of the interface that can have keys."""
    for module in pkgutil.walk_packages(icltui.tui.__path__, "icltui.tui."):
        found = vars(importlib.import_module(module.name)).values()
        for thing in found:
            if isinstance(thing, type) and issubclass(thing, DOMNode) and thing.__module__ == module.name:
                yield thing


def bindings_of(node: type[DOMNode]) -> list[Binding]:
    """Its own keys, without those of the classes above it."""
    return [binding for binding in vars(node).get("BINDINGS", ()) if isinstance(binding, Binding)]


NODES = list(nodes())
OWN = {node: bindings for node in NODES if (bindings := bindings_of(node))}


def test_they_are_found() -> None:
    names = {node.__name__ for node in OWN}
    assert {
        "IcltuiApp",
        "ExplorerScreen",
        "HelpDialog",
        "OpenSessionDialog",
        "StreamTable",
        "LayerList",
    } <= names


@pytest.mark.parametrize("node", OWN, ids=[node.__name__ for node in OWN])
def test_every_key_has_an_id_and_a_tooltip(node: type[DOMNode]) -> None:
    assert len(vars(node)["BINDINGS"]) == len(OWN[node]), "a tuple has neither"
    for binding in OWN[node]:
        assert binding.id, (node, binding)
        assert binding.tooltip, (node, binding)
        assert not FORBIDDEN & set(binding.key.split(",")), (node, binding)


def test_ids_are_unique() -> None:
    ids = Counter(binding.id for bindings in OWN.values() for binding in bindings)
    assert not [name for name, count in ids.items() if count > 1]


def test_the_answers_of_a_question_have_them_too() -> None:
    mine = {b for bs in ConfirmDialog("?", UNSAVED)._bindings.key_to_bindings.values() for b in bs}
    answers = [binding for binding in mine if binding.action.startswith("answer(")]
    assert {binding.key for binding in answers} == {"s", "d", "c", "escape"}
    assert all(binding.id and binding.tooltip for binding in answers)


def test_the_screen_leaves_an_editor_its_own_keys() -> None:
    keys = {key for action in ACTIONS for key in action.keys.split(",")}
    assert not keys & (FOR_TEXT | FORBIDDEN)


def test_the_help_lists_every_action() -> None:
    listed = {keys for rows in help_sections().values() for keys, _meaning in rows}
    for action in ACTIONS:
        if action.group and action.keys_text() and not action.id.startswith("pane_"):
            assert action.keys_text() in listed, action.id


def test_two_keys_never_meet_on_one_pane() -> None:
    """A letter of the screen that a widget takes for something else would be lost there: only on purpose."""
    mine = {key for action in ACTIONS for key in action.keys.split(",") if key}
    on_purpose = {
        "n",
        "enter",
        "left",
        "right",
        "s",
        "S",
        "i",
        "escape",
    }  # in layers, lanes and editors; in table and heatmap
    for node, bindings in OWN.items():
        if "widgets" in node.__module__ and node.__name__ != "FindInput":
            taken = {key for binding in bindings for key in binding.key.split(",")} & mine
            assert taken <= on_purpose, (node, taken)
