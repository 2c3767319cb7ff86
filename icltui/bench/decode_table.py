"""Decoding as text: milliseconds per token, and what each way costs against the lane without a patch."""

from icltui.bench.decode import CONTEXT, LOOP, PLAIN, Decoding
from icltui.text.tables import number, numbers, render, table, words

_NOTE = (
    f"{LOOP}: model(ids, past_key_values=…) by hand. {PLAIN}: our lane of the query alone; {CONTEXT}: of context "
    "and query. The others hold a patch on all layers. Per step runs the context beside the query: two runs per "
    "token. Ratios: medians over tokens, each against its neighbour in time."
)


def decode_table(decoding: Decoding, width: int) -> str:
    """The whole report."""
    used, ids = decoding.settings, decoding.ids
    rows = [(line.way, number(line.milliseconds), f"{line.ratio:.3f}") for line in decoding.lines]
    title = (
        f"Decoding on {decoding.model}, float32, {used.device}, {decoding.threads} threads: {used.decode} tokens "
        f"behind {len(ids.context)} context and {len(ids.query)} query tokens, key-value caches, {used.repeat} times; "
        "the ways take turns at every token."
    )
    grid = table([words(""), *numbers("ms/token", f"/ {PLAIN}")], rows)
    return render([title, grid, _NOTE], width)
