"""The user's own keys: from the config file to Textual's keymap, with a line for each key that is refused.

A key that two actions would share is refused, and so is one that a terminal cannot send or that a pane needs itself.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from textual.keys import KEY_NAME_REPLACEMENTS, Keys, _character_to_key, key_to_character

from icltui.storage.config import NAME
from icltui.tui.actions import EVERY_ACTION
from icltui.tui.actions.action import Action

_NAMES = {key.value.rpartition("+")[2] for key in Keys if not key.value.startswith("<")}
_NAMES |= set(KEY_NAME_REPLACEMENTS.values())
_SAME = {
    "ctrl+i": "tab",
    "ctrl+m": "enter",
    "ctrl+j": "enter",
    "ctrl+h": "backspace",
    "ctrl+left_square_bracket": "escape",
    "ctrl+enter": "enter",
    "shift+enter": "enter",
}
"""Keys that most terminals cannot tell from another."""
_TAKEN = {
    **dict.fromkeys(("tab", "shift+tab", "enter", "backspace"), "the screen"),
    **dict.fromkeys(
        "j k h l g G up down left right home end pageup pagedown ctrl+d ctrl+u".split(), "the panes"
    ),
    "ctrl+p": "the palette",
    "ctrl+c": "copying",
}
"""Keys that something else needs, and what that is."""


def keymap(asked: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The accepted keys by action, and why others are refused; a refused action keeps its usual keys."""
    known = {action.id: action for action in EVERY_ACTION}
    keys = {id: ",".join(map(_named, text.split(","))) for id, text in asked.items() if id in known}
    faults = {id: next(_faults(known[id], keys[id]), "") for id in keys}
    faults |= {id: _unknown(id, list(known)) for id in asked if id not in known}
    good = {id: text for id, text in keys.items() if not faults[id] and text != known[id].keys}
    while clashes := dict(_clashes(good)):  # one that falls back to its usual keys may clash anew
        faults |= clashes
        good = {id: text for id, text in good.items() if id not in clashes}
    return good, tuple(f"{NAME}: {fault}" for fault in faults.values() if fault)


def _named(key: str) -> str:
    """``?`` as ``question_mark``, as Textual names it in a keymap; also after modifiers."""
    *modifiers, last = key.strip().rsplit("+", 1) if len(key.strip()) > 1 else [key.strip()]
    return "+".join([*modifiers, _character_to_key(last) if len(last) == 1 else last])


def _unknown(id: str, known: list[str]) -> str:
    near = get_close_matches(id, known, 1)
    hint = f"did you mean {near[0]}?" if near else "icltui config lists all"
    return f"keys: {id!a} is not an action: {hint}"


def _faults(action: Action, keys: str) -> Iterator[str]:
    usual = action.keys.split(",")
    for key in keys.split(","):
        what = f"keys: {action.id} = {key!a}"
        *modifiers, last = key.split("+")
        if not set(modifiers) <= {"ctrl", "shift", "alt"} or not (last in _NAMES or key_to_character(last)):
            yield f'{what} is not a key: write for example "f6", "ctrl+x", "x" or "question_mark"'
        elif key in usual:
            continue
        elif key in _SAME:
            yield f"{what} reaches a program as {_SAME[key]} in most terminals: choose another"
        elif key in _TAKEN:
            yield f"{what} is needed by {_TAKEN[key]}: choose another"
        elif action.id == "quit" and (key_to_character(key) or "\0").isprintable() and not modifiers:
            yield f"{what} would act while you type: choose a key with ctrl, or a function key"


def _clashes(keys: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each changed action that shares a key with another one, with the line that says so."""
    for id, text in keys.items():
        for action in EVERY_ACTION:
            theirs = keys.get(action.id, action.keys).split(",")
            shared = [key for key in text.split(",") if key in theirs]
            if shared and action.id != id and _are_of_one_screen(id, action.id):
                yield id, f"keys: {id} = {shared[0]!a} is also that of {action.id}: choose another"
                break


def _are_of_one_screen(one: str, other: str) -> bool:
    """Whether both actions can be had at one time; quitting can be had anywhere."""
    return "quit" in (one, other) or one.startswith("rows_") == other.startswith("rows_")
