"""The cursor stays at the same text when the context is cut in another way."""

import pytest
from msgspec.structs import replace

from icltui.tui.state.cursor_place import same_place
from icltui.values import Unit
from tests.tui import tokenized

TOKENS = tokenized(["The", " sun", ".", " It", " is", " hot", "."])
TWO = (Unit(index=1, text="The sun.", tokens=3), Unit(index=2, text=" It is hot.", tokens=4))
SENTENCES = replace(TOKENS, units=TWO)


@pytest.mark.parametrize(
    ("unit", "before", "after", "place"),
    [
        (2, SENTENCES, TOKENS, 4),
        (1, SENTENCES, TOKENS, 1),
        (6, TOKENS, SENTENCES, 2),
        (3, TOKENS, SENTENCES, 1),
        (5, TOKENS, TOKENS, 5),
        (0, TOKENS, SENTENCES, 0),
        (2, TOKENS, tokenized(["Another", " one"]), None),
        (2, None, TOKENS, None),
        (2, TOKENS, None, None),
    ],
)
def test_the_unit_that_holds_the_first_token(unit, before, after, place) -> None:
    assert same_place(unit, before, after) == place
