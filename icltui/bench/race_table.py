"""A race as text: ratios first, then times and memory."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.console import RenderableType

from icltui.bench.methods import BATCH, FLOOR, METHODS, OURS, SAMPLED_PREFIXES
from icltui.bench.race import TOLERANCE, Race, RaceRow
from icltui.text.tables import number, numbers, render, table, words

MEGABYTE = 2**20
Values = Sequence[float | None]


def race_table(race: Race, width: int) -> str:
    """The results as text."""
    return render(_parts(race), width)


def _parts(race: Race) -> Iterable[RenderableType]:
    used = race.settings
    methods = list(dict.fromkeys(row.method for row in race.rows))
    sizes = sorted({(row.n, row.q) for row in race.rows})

    def of_each(value: Callable[[RaceRow], float | None]) -> dict[str, Values]:
        rows = {method: [race.row(method, size) for size in sizes] for method in methods}
        return {method: [None if row is None else value(row) for row in rows[method]] for method in methods}

    seconds = of_each(lambda row: row.seconds)
    peaks = of_each(lambda row: None if row.peak is None else row.peak / MEGABYTE)
    has_peaks = any(row.peak is not None for row in race.rows)
    one_by_one, packed = zip(*(((n + 1) * (n / 2 + q), n + (n + 1) * q) for n, q in sizes), strict=True)
    ratios = {name: (seconds[name], seconds[OURS]) for name in methods if name not in (OURS, FLOOR)}
    ratios["packed / plain, time"] = (seconds[OURS], seconds[FLOOR])
    if has_peaks:
        ratios["packed / plain, memory"] = (peaks[OURS], peaks[FLOOR])
    ratios["tokens run, one by one / packed"] = (one_by_one, packed)
    ratios["first rows / all rows"] = (of_each(lambda row: row.first)[OURS], seconds[OURS])
    columns = [f"{n},{q}" for n, q in sizes]
    yield (
        f"{race.model}, {used.dtype}, {used.device}, {race.threads} threads; median of {used.repeat}, in alternation. "
        "Columns: n context and q query tokens. Packed: every prefix in one pass."
    )
    yield "Times as long as packed; below, packed against a plain forward of as many tokens, n + (n+1) q"
    yield _grid(columns, {title: _ratios(*pair) for title, pair in ratios.items()})
    yield "Seconds"
    yield _grid(columns, seconds)
    if has_peaks:
        yield "Peak memory beside the loaded model, megabytes"
        yield _grid(columns, peaks)
    if len(used.context_sizes) > 1:
        yield "Time grows with this power of n"
        growth = {name: [race.growth(name, q) for q in used.query_sizes] for name in methods}
        yield _grid([f"q = {q}" for q in used.query_sizes], growth)
    yield "\n".join(_notes(race))


def _grid(columns: Sequence[str], rows: Mapping[str, Values]) -> RenderableType:
    return table([words(""), *numbers(*columns)], [(name, *map(number, row)) for name, row in rows.items()])


def _ratios(parts: Values, wholes: Values) -> Values:
    pairs = zip(parts, wholes, strict=True)
    return [part / whole if part is not None and whole else None for part, whole in pairs]


def _notes(race: Race) -> Iterable[str]:
    yield "hooks: model(ids) with all logits. nnsight and TransformerLens: no cache, one row's last logits alone;"
    yield "TransformerLens runs a copy of the model through its bridge, which makes attention eager."
    yield f"batched: {BATCH} prefixes each, padded on the right. Peaks of these methods, batched or not: those of the"
    yield f"{BATCH} longest prefixes. {METHODS[-1].name}: measured on {SAMPLED_PREFIXES} prefixes, the time scaled to "
    yield f"all n + 1. ‖δ‖, ‖ΔW‖ and h of every method agree with packed to {TOLERANCE:g} at every layer."
    yield from race.notes
