"""A race as text: ratios first, then times and memory."""

from collections.abc import Callable, Iterable

from rich.console import RenderableType

from icltui.bench.methods import BATCH, FLOOR, METHODS, OURS, SCRIPT_PREFIXES
from icltui.bench.model_and_prompts import Size
from icltui.bench.race import TOLERANCE, Race, RaceRow
from icltui.text.tables import number, numbers, render, table, words

MEGABYTE = 2**20
Value = Callable[[RaceRow | None], float | None]


def race_table(race: Race, width: int) -> str:
    """The results as text."""
    return render(_parts(race), width)


def _parts(race: Race) -> Iterable[RenderableType]:
    used = race.settings
    yield (
        f"{race.model}, float32, {used.device}, {race.threads} threads; median of {used.repeat}, in alternation. "
        "Columns: n context and q query tokens. Packed: every prefix in one pass."
    )
    yield "Times as long as packed; below, packed against a plain forward of as many tokens, n + (n+1) q"
    yield _ratios(race)
    yield "Seconds"
    yield _grid(race, _seconds)
    if _has_peaks(race):
        yield "Peak memory beside the loaded model, megabytes"
        yield _grid(race, _peak)
    if len(used.context_sizes) > 1:
        yield "Time grows with this power of n"
        yield _growth(race)
    yield "\n".join(_notes(race))


def _seconds(line: RaceRow | None) -> float | None:
    return None if line is None else line.seconds


def _peak(line: RaceRow | None) -> float | None:
    return None if line is None or line.peak is None else line.peak / MEGABYTE


def _has_peaks(race: Race) -> bool:
    return any(line.peak is not None for line in race.lines)


def _sizes(race: Race) -> list[Size]:
    return sorted({(line.n, line.q) for line in race.lines})


def _names(race: Race) -> list[str]:
    return list(dict.fromkeys(line.method for line in race.lines))


def _grid(race: Race, value: Value) -> RenderableType:
    rows = [(name, *(number(value(race.line(name, size))) for size in _sizes(race))) for name in _names(race)]
    return _table(race, rows)


def _table(race: Race, rows: Iterable[tuple[str, ...]]) -> RenderableType:
    return table([words(""), *numbers(*(f"{n},{q}" for n, q in _sizes(race)))], rows)


def _ratios(race: Race) -> RenderableType:
    def of(method: str) -> list[RaceRow | None]:
        return [race.line(method, size) for size in _sizes(race)]

    ours, plain = of(OURS), of(FLOOR)
    rows = [_shares(name, of(name), ours) for name in _names(race) if name not in (OURS, FLOOR)]
    rows.append(_shares("packed / plain, time", ours, plain))
    if _has_peaks(race):
        rows.append(_shares("packed / plain, memory", ours, plain, _peak))
    tokens = (_share((n + 1) * (n / 2 + q), n + (n + 1) * q) for n, q in _sizes(race))
    rows.append(("tokens run, one by one / packed", *tokens))
    firsts = (_share(line.first if line else None, _seconds(line)) for line in ours)
    return _table(race, [*rows, ("first rows / all rows", *firsts)])


def _shares(
    title: str, parts: Iterable[RaceRow | None], wholes: Iterable[RaceRow | None], value: Value = _seconds
) -> tuple[str, ...]:
    return (title, *(_share(value(a), value(b)) for a, b in zip(parts, wholes, strict=True)))


def _share(part: float | None, whole: float | None) -> str:
    return number(part / whole if part is not None and whole else None)


def _growth(race: Race) -> RenderableType:
    queries = race.settings.query_sizes
    rows = [(name, *(number(race.growth(name, q)) for q in queries)) for name in _names(race)]
    return table([words(""), *numbers(*(f"q = {q}" for q in queries))], rows)


def _notes(race: Race) -> Iterable[str]:
    yield "hooks: model(ids) with all logits. nnsight and TransformerLens: no cache, one row's last logits alone;"
    yield "TransformerLens runs a copy of the model through its bridge, which makes attention eager."
    yield f"batched: {BATCH} prefixes each, padded behind. Peaks of these methods, batched or not: those of the {BATCH}"
    yield f"longest prefixes. {METHODS[-1].name}: measured on {SCRIPT_PREFIXES} prefixes, the time scaled to all n + 1."
    yield f"‖δ‖, ‖ΔW‖ and h of every method agree with packed to {TOLERANCE:g} at every layer."
    yield from race.notes
