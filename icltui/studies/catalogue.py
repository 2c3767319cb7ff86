"""The studies that icltui brings: their names, their questions, and the modules that hold them.

No study is imported here, so that they are listed at once.
"""

from typing import NamedTuple

from icltui.values.errors import BadInput


class StudyEntry(NamedTuple):
    """One study of the list."""

    name: str
    question: str
    place: str
    """``module:class`` in ``icltui.studies``; the class is made from settings alone."""


CATALOGUE: tuple[StudyEntry, ...] = (
    StudyEntry(
        "steering",
        "How much of a context does ΔW at one layer replace, at its best strength, and what of it carries over?",
        "steering:Steering",
    ),
    StudyEntry(
        "exactness",
        "Does every layer under ΔW and Δb give the block's output that the context gives, on this model?",
        "exactness:Exactness",
    ),
    StudyEntry(
        "few-shot",
        "How do updates accumulate over examples, and after how many does the answer no longer move?",
        "few_shot:FewShot",
    ),
    StudyEntry(
        "relevance",
        "Is the size of an update, or its focus on few tokens, a measure of how good a context is?",
        "relevance:Relevance",
    ),
    StudyEntry(
        "deliberation",
        "Do the updates of several opinions add up, does their order matter, and which opinion wins?",
        "deliberation:Deliberation",
    ),
    StudyEntry(
        "override",
        "When does a context override what the model knows, and is belief linear in evidence and patch?",
        "override:Override",
    ),
    StudyEntry(
        "functions",
        "Does a block that learned to fit linear functions from examples fit them through ΔW too, and are its implicit "
        "steps those of gradient descent?",
        "functions:FunctionsStudy",
    ),
    StudyEntry(
        "finetune",
        "Does a context of examples move the weights in the direction in which training on the same examples does?",
        "finetune:FineTuneStudy",
    ),
    StudyEntry(
        "training",
        "When in its training does a model begin to learn in context, and what appears in its heads and in ΔW then?",
        "training:TrainingStudy",
    ),
)


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
