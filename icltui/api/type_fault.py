"""A value of another type than its option's, in plain words: what was given, and what is needed.

Enters: what msgspec says of a value. Leaves: one line with the option's name, for whichever door it came through.
"""

import re

from icltui.api.option_table import option_of

_KINDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "nothing",
    "bytes": "bytes",
}
"""Types by their names in msgspec."""
_LONGEST = 40


def type_fault(error: object) -> str:
    """The line that says what msgspec's ``error`` does.

    >>> type_fault("Expected `str`, got `array` - at `$.layers`")
    'layers: a text is needed, and a list was given: all, last, or a list such as 0,3,5-8'
    >>> type_fault("Invalid enum value 'fall' - at `$.dynamics`")
    "dynamics: 'fall' not known: use grow, shrink, drop"
    """
    fault, _, where = str(error).rpartition(" - at `")
    path = where.rstrip("`").replace("key` in `", "a name in ").replace("$.", "")
    name = re.sub(r"^a name in |[\[.].*$", "", path)
    is_word = fault.startswith("Invalid enum value ")
    return f"{path or 'a value'}: {_word(fault) if is_word else _kind(fault)}{_way_out(name, is_word)}"


def _word(fault: str) -> str:
    value = fault.removeprefix("Invalid enum value ")
    return f"{value if len(value) <= _LONGEST else value[:_LONGEST] + '…'} not known"


def _kind(fault: str) -> str:
    found = re.fullmatch(r"Expected `([^`]+)`(.*), got `([^`]+)`", fault, re.DOTALL)
    if found is None:
        return f"{fault[:1].lower()}{fault[1:]}"
    needed, more, given = found.groups()
    return f"{_named(needed)}{more} is needed, and {_named(given)} was given"


def _named(kinds: str) -> str:
    return " or ".join(_KINDS.get(kind, f"a {kind}") for kind in kinds.split(" | "))


def _way_out(name: str, is_word: bool) -> str:
    try:
        option = option_of(name)
    except StopIteration:
        return ""
    if option.need and (is_word or option.types & {int, float}):
        return f": {option.need}"
    if is_word and option.choices:
        return f": use {', '.join(option.choices)}"
    return f": {option.help.split(' (default')[0]}" if name == "layers" else ""
