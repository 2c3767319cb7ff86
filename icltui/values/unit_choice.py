"""How a context is cut into units, in the words of ``--unit``: ``sentence``, or ``sentence/3,7``, two of them opened.

Torch-free. An opened unit is measured token by token, all others whole: one prefix for each.
"""

import re
from typing import NamedTuple, Self

AUTO = "auto"
"""Tokens of a short context; of a long one sentences, or lines where there are hardly any sentences."""
SHORT = 200
"""Tokens of the context up to which ``auto`` measures each one."""
FEWEST, MOST = 4, 400
"""Units that ``auto`` wants of a long context."""
OPENABLE = (AUTO, "sentence", "line")
"""Kinds whose units can be opened."""
_MOST_OPENED = 64
_OPENED = re.compile(rf"({'|'.join(OPENABLE)})/(\d{{1,7}}(?:,\d{{1,7}}){{0,{_MOST_OPENED - 1}}})")


class UnitChoice(NamedTuple):
    """A kind of units, and the numbers of those that are opened into their tokens."""

    kind: str
    """``auto``, ``token``, ``line``, ``sentence``, or a separator."""
    opened: tuple[int, ...] = ()
    """Ascending, counted from 1 as if none was opened."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The choice that ``text`` names; what is not one with opened units is a kind.

        >>> UnitChoice.parse("sentence/7,3"), UnitChoice.parse("a/b").kind
        (UnitChoice(kind='sentence', opened=(3, 7)), 'a/b')
        """
        if (match := _OPENED.fullmatch(text)) is None:
            return cls(text)
        return cls(match[1], tuple(sorted({int(number) for number in match[2].split(",")} - {0})))

    @property
    def text(self) -> str:
        """The words that :meth:`parse` reads back."""
        return f"{self.kind}/{','.join(map(str, self.opened))}" if self.opened else self.kind

    def switched(self, number: int) -> "UnitChoice":
        """The choice with that unit opened; where it is, closed. Beyond the most, the first opened one is closed."""
        opened = {*self.opened} ^ {number}
        return self._replace(opened=tuple(sorted(opened))[-_MOST_OPENED:])
