"""Text of any origin as characters that a terminal shows."""

from icltui.text import escape


def test_text_is_made_visible() -> None:
    assert escape.token_text("  a b\t\n ") == "··a b⇥⏎·"
    assert escape.token_text("  ") == "··"
    assert escape.token_text("") == ""
    assert escape.visible("\x00\x7f\x85\u200b\U000e0001\udc80é") == "␀␡\\x85\\u200b\\U000e0001\\udc80é"
