"""The pattern of a context that lists examples."""

import pytest

from icltui.engine.compile.list_pattern import ListPattern, find_list_pattern

LISTS = {
    "plum: yellow\npine: red\n": (["plum: ", "pine: "], ""),
    "plum: yellow\npine: red": (["plum: ", "pine: "], "\n"),
    "f(1) = 5; f(2) = 8;": (["f(1) = ", "f(2) = "], " "),
    "The capital of France is Rome.\nThe capital of Spain is Cairo.\n": (
        ["The capital of France is ", "The capital of Spain is "],
        "",
    ),
    "dax -> wug, fep -> zib": (["dax -> ", "fep -> "], ", "),
    "猫 → 黄\n犬 → 赤\n": (["猫 → ", "犬 → "], ""),
    "a\tb\nc\td\n": (["a\t", "c\t"], ""),
    "Q: who?\nA: me\nQ: what?\nA: that\n": (["Q: who?\nA: ", "Q: what?\nA: "], ""),
    "In: c\nOut: d\n\nIn: e\nOut: f\n\n": (["In: c\nOut: ", "In: e\nOut: "], ""),
    "a: b: c\nd: e\n": (["a: ", "d: "], ""),
    "Translate:\nsea => mer\nsun => soleil\n": (["sea => ", "sun => "], ""),
    "The moon is far.\n\nQ: far?\nA: yes\n\nQ: near?\nA: no\n\n": (["Q: far?\nA: ", "Q: near?\nA: "], ""),
    "Name colours.\nQ: sea?\nA: blue\nQ: sun?\nA: red\n": (["Q: sea?\nA: ", "Q: sun?\nA: "], ""),
}


@pytest.mark.parametrize("text", LISTS)
def test_every_example_is_cut_where_its_value_begins(text: str) -> None:
    pattern = find_list_pattern(text)
    assert pattern is not None
    keys, joint = LISTS[text]
    assert [item[: pattern.value_begins(item)] for item in pattern.examples(text)] == keys
    assert pattern.joint(text) == joint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n \n",
        "plum: yellow",
        "plum: yellow\npine",
        "plum: yellow\npine:\n",
        ": yellow\n: red\n",
        "Mia is in the kitchen. Ben is in the garden. Mia went to the cellar.",
        "Mia is in the kitchen. Ben is in the garden.",
        "In a sentence as long as this one a colon is nothing out of the ordinary at all: it may be prose.\n"
        * 2,
    ],
)
def test_what_is_no_list_has_no_pattern(text: str) -> None:
    assert find_list_pattern(text) is None


def test_an_item_without_a_value_has_none() -> None:
    assert ListPattern("\n", ": ").value_begins("plum: ") is None
    assert ListPattern("\n", ": ").value_begins("plum") is None
