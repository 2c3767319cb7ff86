"""Every field that takes a path, with every name that no file can have: it is told in the dialog, which stays.

A model's folder is the engine's to look for, which may be on another machine.
"""

import os

import pytest
from textual.widgets import Input, Static

from tests.storage.test_paths import NO_NAMES
from tests.tui import samples
from tests.tui.conftest import open_desk

FIELDS = {
    "save": ("ctrl+s", "name"),
    "open": ("ctrl+l", "path"),
    "export": ("e", "path"),
}
FIELDS |= {"queries": ("Q", "file")}
FIELDS |= {"fitted on": ("o", "queries"), "tested on": ("o", "holdout")}
"""The key that opens each dialog, and the field in it."""
TOLD = (
    "no user",
    "a NUL",
    "half a character",
    "longer than a path can be",
    "current folder is gone",
    "such folder",
)


@pytest.mark.parametrize("name", FIELDS)
async def test_a_name_that_no_file_can_have(name: str) -> None:
    key, field = FIELDS[name]
    async with open_desk(samples.session(), size=(80, 24)) as desk:
        await desk.settle()
        os.mkdir("gone")
        os.chdir("gone")
        os.rmdir("../gone")
        await desk.press(key)
        await desk.until(lambda: desk.app.screen is not desk.screen and desk.app.screen.query(f"#{field}"))
        dialog = desk.app.screen
        for text in [*NO_NAMES, "somewhere/else"]:
            line, error = dialog.query_one(f"#{field}", Input), dialog.query_one(".error", Static)
            error.update("")
            line.value = text
            line.focus()
            await desk.press("enter")
            await desk.until(lambda error=error: any(words in str(error.content) for words in TOLD))
            assert desk.app.screen is dialog
