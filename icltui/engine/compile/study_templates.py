"""What a model is asked so that it writes queries about a context: the project's own words, as one table.

After the seeds of self-study in "Cartridges" (arXiv 2506.06266): questions, tasks, summaries, and text that goes on. A
change of any line changes what is written: :data:`VERSION` is then raised, so that no study goes on with other words.
"""

from dataclasses import dataclass
from typing import Literal

VERSION = 1

Ending = Literal["?", ".", "given"]


@dataclass(frozen=True)
class StudyTemplate:
    """One way to a query: the model reads ``ask`` after the context, and writes on from ``begin``."""

    begin: str
    """The first words of what it writes."""
    ask: str = ""
    """The request in a turn of the user's; empty for a model without a chat template, and for text that goes on."""
    ending: Ending = "?"
    """A question counts up to its mark, a statement up to where the context decides; what is given needs no writing."""


_OPENINGS = ("What", "Who", "Where", "When", "How many", "Which", "Why", "How", "In what", "What kind of")
_ASKS = (
    "Write one short question about the text above that it answers. Write the question alone.",
    "Ask for one detail of the text above, such as a name, a place, a date or a number, in one short question.",
)

INSTRUCT = tuple(StudyTemplate(opening, _ASKS[k % len(_ASKS)]) for k, opening in enumerate(_OPENINGS))
"""For a model with a chat template."""
PLAIN = tuple(StudyTemplate(opening) for opening in _OPENINGS)
"""For a model without one, which continues a pattern."""
STATEMENTS = tuple(StudyTemplate(begin, ending=".") for begin in ("", "In short,", "In other words,"))
"""Text that goes on, a summary and a paraphrase, for a prompt that is no chat."""
GIVEN = (
    StudyTemplate("What is this text about?", ending="given"),
    StudyTemplate("Summarise the text in one sentence.", ending="given"),
)
"""Queries for a chat that need no writing."""

QUESTION_BEFORE, QUESTION_AFTER = "Question: ", "\nAnswer:"
"""Around a question that is no turn of a chat."""
