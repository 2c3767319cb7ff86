"""A session as a report in Markdown, to be pasted into a lab notebook or an issue.

Its sentences and tables are those of the headless commands; here they are only set another way.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.table import Table

from icltui import __version__
from icltui.report.compilation import compilation_parts
from icltui.report.curves import curves_parts
from icltui.report.exam import exam_parts
from icltui.report.generate import lane_title
from icltui.report.heads import heads_parts
from icltui.report.kept_prefix import kept_lines
from icltui.report.measure_tables import measure_parts
from icltui.report.patch import patch_parts
from icltui.report.summary_tables import flip_table, largest_delta_table, run_table
from icltui.report.verify import verify_parts
from icltui.text.markdown import block, code, plain
from icltui.text.markdown import table as set_table
from icltui.values import LANES, Generation, Measurement, ModelInfo, Session
from icltui.values.prompt import Prompt

_FIGURE = "![‖δ‖ of every unit at every layer; its ‖ΔW‖/‖W‖; what the query is answered after it][figure]"
_PARTS = {"measurement": "measures", "generation": "lanes", "verification": "proof"}


def markdown(session: Session, figure: bytes | None = None) -> str:
    """The report, ending in a line end; with a PNG its picture is in it, the bytes as the last line, by themselves."""
    sections = _sections(session, figure is not None)
    image = () if figure is None else (f"[figure]: data:image/png;base64,{b64encode(figure).decode()}",)
    return "\n\n".join((*sections, *image)) + "\n"


def _sections(session: Session, has_figure: bool) -> Iterator[str]:
    yield f"# {plain(session.title or 'icltui session')}"
    yield from _prompt(session.prompt, session.measurement)
    model = session.model
    if model is not None:
        yield from ("## Model", "\n".join(f"- {line}" for line in _model(model)))
        if session.measurement is not None:
            yield from _measures(model, session.prompt, session.measurement, _FIGURE if has_figure else "")
        if session.generation is not None:
            yield from _lanes(session, model, session.generation)
        if session.verification is not None:
            yield from ("## Verification", *_set(verify_parts(model, session.verification)))
        if session.curves is not None:
            yield from ("## Curves", *_set(curves_parts(model, session.curves)))
        if session.heads is not None:
            yield from ("## Heads", *_set(heads_parts(model, session.heads)))
        if session.exam is not None:
            yield from ("## Exam", *_set(exam_parts(session.exam)))
        if session.compilation is not None:
            yield from ("## Compiled patch", *_set(compilation_parts(session.compilation, model.n_layers)))
    if session.runs:
        yield from ("## Runs", set_table("What was run, in this order", run_table(session.runs)))
    missing = [words for name, words in _PARTS.items() if model is None or getattr(session, name) is None]
    if missing:
        yield f"Not in this session: {', '.join(missing)}."
    made = f", session of {plain(session.created)}" if session.created else ""
    yield f"Written by icltui {__version__}{made}."


def _prompt(prompt: Prompt, measurement: Measurement | None) -> Iterator[str]:
    tokens = measurement.tokens if measurement else None
    yield "## Prompt"
    yield f"Context{_count(len(tokens.context)) if tokens else ''}"
    yield block(prompt.context)
    yield f"Query{_count(len(tokens.query)) if tokens else ''}"
    yield block(prompt.query)
    chat = ", as one turn of the chat template" if prompt.chat else ""
    yield f"Unit {code(prompt.unit)}, special tokens {prompt.bos}, positions {prompt.positions}{chat}."


def _count(n: int) -> str:
    return f" ({n} token{'' if n == 1 else 's'})"


def _model(model: ModelInfo) -> Iterator[str]:
    revision = f", revision {code(model.revision)}" if model.revision else ""
    yield f"{code(model.name)}{revision}, {code(model.architecture)}"
    yield f"{model.n_layers} layers, width {model.hidden_size}, {model.n_parameters:,} parameters"
    quantized = "" if model.quantize == "none" else f", weights in {model.quantize}"
    yield f"{plain(model.dtype)}{quantized} on {plain(model.device)}"
    yield f"weights' fingerprint {code(model.fingerprint)}"
    yield ", ".join(f"{plain(name)} {plain(version)}" for name, version in model.versions.items())
    if model.sites:
        yield "sites by hand: " + ", ".join(code(f"{key}={path}") for key, path in model.sites.items())


def _measures(model: ModelInfo, prompt: Prompt, measurement: Measurement, figure: str) -> Iterator[str]:
    yield from filter(None, ("## Measures", figure))
    how = "all units in one packed pass" if measurement.path == "packed" else "a pass for each unit"
    yield f"Seen at the query's last token; {how}, {measurement.seconds:.2f} s."
    if measurement.layers and measurement.tokens.units:
        layer = measurement.layers[-1]
        yield set_table(
            f"The units with the largest ‖δ‖ at layer {layer}", largest_delta_table(measurement, layer)
        )
    if measurement.predictions:
        made = flip_table(measurement)
        title = "Where the most probable next token changes"
        yield set_table(title, made) if made.row_count else f"**{title}**: nowhere."
    yield from _set(measure_parts(model, prompt, measurement))


def _lanes(session: Session, model: ModelInfo, generation: Generation) -> Iterator[str]:
    yield "## Lanes"
    yield from map(plain, kept_lines(model, generation.ids, generation.kept_prefix))
    for lane in (lane for lane in LANES if lane in generation.lanes):
        yield f"**{plain(lane_title(generation, lane))}**"
        yield block(generation.lanes[lane].text)
    yield "## Patch"
    for title, queries in (
        ("Fitted on the queries", generation.recipe.queries),
        ("Held-out queries", generation.holdout),
    ):
        if queries:
            yield f"{title}: {', '.join(map(code, queries))}."
    if generation.recipe.control == "other":
        yield f"The control's context: {code(generation.recipe.other_context)}"
    if generation.recipe.control in ("random", "shuffled"):
        yield f"The control's seed: {generation.recipe.seed}."
    yield from _set(patch_parts(generation))
    if session.recipe != generation.recipe:
        yield "The session's present recipe differs, and was not run."


def _set(parts: Iterable[RenderableType]) -> Iterator[str]:
    """Sentences as paragraphs; a table takes the sentence before it as its title."""
    title = ""
    for part in parts:
        if isinstance(part, Table):
            yield set_table(title, part)
            title = ""
        else:
            if title:
                yield from map(plain, title.split("\n"))
            title = str(part)
    if title:
        yield from map(plain, title.split("\n"))
