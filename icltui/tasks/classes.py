"""Families of a few classes: the examples tell the class's name, which may mean nothing or be the wrong one."""

from collections.abc import Mapping

from icltui.tasks.family import by_example

_MEMBERS: Mapping[str, tuple[str, ...]] = {
    kind: tuple(words.split())
    for kind, words in {
        "animal": "cat dog horse cow lion tiger bear wolf fox sheep goat rabbit eagle frog",
        "fruit": "apple pear banana orange cherry grape peach plum lemon mango melon fig strawberry lime",
        "tool": "hammer saw drill knife shovel rake axe chisel wrench pliers screwdriver ladder broom scissors",
    }.items()
}
_COLOUR_OF: Mapping[str, tuple[str, ...]] = {
    colour: tuple(words.split())
    for colour, words in {
        "red": "blood tomato cherry strawberry ruby rose brick ketchup",
        "green": "grass leaf frog cucumber lettuce emerald pea moss spinach",
        "white": "snow milk salt cotton swan flour cloud paper",
        "yellow": "lemon banana sun butter corn canary gold mustard daffodil",
    }.items()
}
_POSITIVE = (
    "a great film; awful plot turned into a joy; lovely music; a wonderful story; the best meal ever; "
    "very friendly staff; I love this phone; a beautiful hotel; it works perfectly; a delightful evening; "
    "excellent service; superb acting; a charming book; fresh and tasty food; a brilliant idea; "
    "I would buy it again; such a kind nurse; a real pleasure"
).split("; ")
_NEGATIVE = (
    "a terrible film; boring plot; ugly music; a stupid story; the worst meal ever; very rude staff; "
    "I hate this phone; a dirty hotel; it broke at once; a miserable evening; slow service; wooden acting; "
    "a dull book; cold and tasteless food; a foolish idea; I want my money back; such a nasty nurse; "
    "a real disappointment"
).split("; ")


def _classes(
    members: Mapping[str, tuple[str, ...]], names: Mapping[str, str] | None = None
) -> list[tuple[str, str]]:
    """Every member with its class's name, or with what ``names`` calls that class."""
    return [(word, (names or {}).get(kind, kind)) for kind, words in members.items() for word in words]


_INVENTED = {"animal": "dax", "fruit": "blick", "tool": "wug"}
_PERMUTED = {"animal": "tool", "fruit": "animal", "tool": "fruit"}
_SENTIMENT = {"positive": tuple(_POSITIVE), "negative": tuple(_NEGATIVE)}
_FLIPPED = {"positive": "negative", "negative": "positive"}

CLASSES = (
    by_example("category", _classes(_MEMBERS)),
    by_example("invented labels", _classes(_MEMBERS, _INVENTED), n_examples=15),
    by_example("permuted labels", _classes(_MEMBERS, _PERMUTED), n_examples=15),
    by_example("colour of things", _classes(_COLOUR_OF), "{} ="),
    by_example("sentiment", _classes(_SENTIMENT), "Q: {}\nA:"),
    by_example("flipped sentiment", _classes(_SENTIMENT, _FLIPPED), "Input: {}\nOutput:", n_examples=12),
)
