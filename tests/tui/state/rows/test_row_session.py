"""A row opens as the session that computes it again."""

import pytest

from icltui.tui.state.rows.row_session import session_of
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt

ROW = {"context": "c ", "query": "q", "prompt": 3, "layers": "last", "mode": "frozen", "alpha": 0.5}


def test_the_prompt_is_read_as_the_sweep_read_it():
    reading = {"bos": "never", "chat": True, "positions": "keep"}
    session = session_of(ROW, "sweep", {"reading": reading, "n_prompts": 3})
    assert session.prompt == Prompt(context="c ", query="q", bos="never", chat=True, positions="keep")
    assert (session.title, session.layers, session.recipe.mode, session.recipe.alpha) == (
        "sweep-3",
        "last",
        "frozen",
        0.5,
    )


@pytest.mark.parametrize("reading", [None, 3, [], {"bos": "some"}, {"chat": "yes"}, {"context": "other"}, {}])
def test_what_is_not_understood_of_it_is_as_usual(reading):
    assert session_of(ROW, "sweep", {"reading": reading}).prompt == Prompt(context="c ", query="q")


def test_a_row_without_a_prompt_is_no_session():
    with pytest.raises(BadInput, match="no context and query"):
        session_of({"key": "a"}, "study", {})
