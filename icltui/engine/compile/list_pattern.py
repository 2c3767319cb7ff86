"""The pattern of a context that lists examples: ``plum: yellow`` line by line, ``f(1) = 5; f(2) = 8;``.

Enters: a text. Leaves: a :class:`ListPattern`, or None where the text is no such list. The key of an example, up to
where its value begins, is a query whose next token the context decides.
"""

from dataclasses import dataclass, replace

_ARROWS = (" -> ", " => ", " → ", "->", "=>", "→", "\t", " | ", " = ", ": ", ":", " – ", " - ", "=", " is ")
"""What separates a key from its value; of several the first counts, and words only where each example has a line."""
_BETWEEN = ("\n\n", "\n", "; ", ";", ". ", ", ")
"""What separates two examples; of several the first counts."""
_MOST_WORDS = 8
"""Of a key: longer ones are prose that happens to hold a colon."""
_FEWEST = 2
"""Of examples."""
_MOST_LINES = 4
"""Of one example."""


@dataclass(frozen=True)
class ListPattern:
    """How the examples of a list are written."""

    between: str
    """What separates two examples."""
    arrow: str
    """What separates a key from its value."""
    lines: int = 1
    """Parts of one example, such as a question and its answer; the value is the last one's."""
    head: str = ""
    """What the context has before the list, such as an instruction."""

    def examples(self, context: str) -> list[str]:
        """The examples of ``context``, without what is before and between them."""
        parts = self.parts(context.removeprefix(self.head))
        starts = range(0, len(parts), self.lines)
        return [self.between.join(parts[start : start + self.lines]) for start in starts]

    def parts(self, text: str) -> list[str]:
        """What is separated in ``text``."""
        return [part.strip() for part in text.split(self.between) if part.strip()]

    def value_begins(self, item: str) -> int | None:
        """The character of ``item`` at which its value begins; None where it has no key, or no value."""
        begin = item.rfind(self.between.strip(" ")) + 1 if self.lines > 1 else 0
        begin = max(begin, item.rfind("\n") + 1)  # an example of several lines ends in its value
        key, _, value = item[begin:].partition(self.arrow)
        is_key = bool(key.strip()) and len(key.split()) <= _MOST_WORDS and bool(value.strip())
        return len(item) - len(value.lstrip()) if is_key else None

    def joint(self, context: str) -> str:
        """What goes between ``context`` and the next example."""
        ends = (n for n in range(len(self.between), -1, -1) if context.endswith(self.between[:n]))
        return self.between[next(ends) :]


def find_list_pattern(text: str) -> ListPattern | None:
    """The pattern that all examples of ``text`` follow, else that of the examples, on lines, that it ends in."""
    patterns = [ListPattern(between, arrow) for between in _BETWEEN for arrow in _ARROWS]
    for pattern in patterns:
        parts = pattern.parts(_without_end(text, pattern.between))
        is_word = pattern.arrow.strip().isalpha()
        if (
            not (is_word and pattern.between != "\n")
            and len(_examples(pattern, parts)) == len(parts) >= _FEWEST
        ):
            return replace(pattern, lines=_lines_of_one(parts, pattern.arrow))
    for pattern in patterns:
        if pattern.between.strip(" \n") or pattern.arrow.strip().isalpha():
            continue
        examples = _examples(pattern, pattern.parts(text))
        if len(examples) >= _FEWEST:
            head = text[: _begin_of(examples, text)]
            return replace(pattern, lines=_lines_of_one(examples, pattern.arrow), head=head)
    return None


def _without_end(text: str, between: str) -> str:
    return text.rstrip().removesuffix(between.strip())


def _examples(pattern: ListPattern, parts: list[str]) -> list[str]:
    """The last parts that are examples, as far back as all are of as many lines."""
    n = 0
    for part in reversed(parts):
        if pattern.value_begins(part) is None or part.count("\n") != parts[-1].count("\n"):
            break
        n += 1
    return parts[len(parts) - n :]


def _begin_of(examples: list[str], text: str) -> int:
    """The character of ``text`` at which the examples, its last parts, begin."""
    at = len(text)
    for example in reversed(examples):
        at = text.rindex(example, 0, at)
    return at


def _lines_of_one(items: list[str], arrow: str) -> int:
    """The number of items that make up an example, whose keys come again and again: ``Q: … A: … Q: … A: …``."""
    keys = [item.partition(arrow)[0] for item in items]
    for n in range(2, _MOST_LINES + 1):
        comes_again = len(keys) >= 2 * n and all(key == keys[k % n] for k, key in enumerate(keys))
        if len(set(keys[:n])) == n and comes_again:
            return n
    return 1
