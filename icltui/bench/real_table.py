"""The costs on real shapes as text: ratios, what is wanted of them, and seconds."""

from collections.abc import Sequence

from rich.console import RenderableType

from icltui.bench.methods import SAMPLED_PREFIXES
from icltui.bench.real import RealModel
from icltui.text.tables import number, numbers, phrases, render, table

_NOTE = (
    "Plain forward: n + (n+1) q tokens, logits of the last alone. Sampled: measured on "
    f"{SAMPLED_PREFIXES} prefixes and those before them, scaled to all n + 1; nothing but "
    "the last token's logits is asked for."
)


def real_table(models: Sequence[RealModel], width: int) -> str:
    """The ratios of every model, a column each, and the seconds of what is above each line."""
    names = list(dict.fromkeys(ratio.name for model in models for ratio in model.ratios))
    found = [{ratio.name: ratio for ratio in model.ratios} for model in models]
    used, threads = models[0].settings, models[0].threads
    clock = "CPU time" if used.cpu_time else "time"
    yield_wanted = [next((of[name].wanted for of in found if name in of), None) for name in names]
    rows, seconds = [], []
    for name, wanted in zip(names, yield_wanted, strict=True):
        ratios = [of.get(name) for of in found]
        limit = "" if wanted is None else f"≤ {wanted:g}"
        rows.append((name, *(number(None if r is None else r.value) for r in ratios), limit))
        seconds.append((name, *(number(None if r is None else r.seconds) for r in ratios)))
    title = (
        f"n = {used.context_sizes[0]} context and q = {used.query_sizes[0]} query tokens, {used.dtype}, {used.device}, "
        f"{threads} threads; ratios of {clock}, median of {used.repeat} in alternation."
    )
    columns = [model.name for model in models]
    notes = [f"{model.name}: {note}" for model in models for note in model.notes]
    parts: list[RenderableType] = [
        title,
        table([phrases(""), *numbers(*columns, "wanted")], rows),
        f"Seconds of the first part of each ratio, {clock}",
        table([phrases(""), *numbers(*columns)], seconds),
        "\n".join([_NOTE, *notes]),
    ]
    return render(parts, width)
