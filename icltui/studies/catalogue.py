"""The studies that icltui brings: their names, their questions, and the modules that hold them.

No study is imported here, so that they are listed at once.
"""

from dataclasses import dataclass

from icltui.values.errors import BadInput


@dataclass(frozen=True)
class StudyEntry:
    """One study of the list."""

    name: str
    question: str
    place: str
    """``module:class`` in ``icltui.studies``; the class is made from settings alone."""


CATALOGUE: tuple[StudyEntry, ...] = ()


def study_entry(name: str) -> StudyEntry:
    """The study of that name.

    Raises:
        BadInput: there is none.
    """
    for entry in CATALOGUE:
        if entry.name == name:
            return entry
    names = ", ".join(entry.name for entry in CATALOGUE)
    raise BadInput(f"{name!r} is no study: choose from {names}")
