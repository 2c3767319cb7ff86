"""All families, by the model that they are made for."""

from icltui.tasks.classes import CLASSES
from icltui.tasks.documents import DOCUMENT_FAMILIES
from icltui.tasks.embedded import EMBEDDED
from icltui.tasks.family import Family, ForModel
from icltui.tasks.grammar import GRAMMAR
from icltui.tasks.manners import MANNERS
from icltui.tasks.meaning import MEANING
from icltui.tasks.symbols import SYMBOLS
from icltui.tasks.translation import TRANSLATION

FAMILIES: tuple[Family, ...] = (
    *GRAMMAR,
    *MEANING,
    *TRANSLATION,
    *SYMBOLS,
    *CLASSES,
    *MANNERS,
    *DOCUMENT_FAMILIES,
    *EMBEDDED,
)


def families(for_model: ForModel) -> tuple[Family, ...]:
    """The families made for that kind of model."""
    return tuple(family for family in FAMILIES if family.for_model == for_model)
