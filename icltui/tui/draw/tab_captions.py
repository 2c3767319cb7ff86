"""What the lower border of the results says: what is out of date, and what the numbers shown are.

An :class:`.Explorer` and a :class:`TabShown` enter; plain lines leave.
"""

from dataclasses import dataclass

from icltui.api.messages import Generate, Measure
from icltui.report.kept_prefix import SINK
from icltui.report.measures import MEASURES
from icltui.tui.draw.safe_text import display
from icltui.tui.state.exam_table import tested_with
from icltui.tui.state.explorer import Explorer
from icltui.tui.state.plain_method import plain_method
from icltui.tui.state.staleness import (
    compilation_note,
    curves_note,
    exam_note,
    inspection_note,
    numbers_note,
    proof_note,
)
from icltui.values import AttentionHeads, LossCurves, PatchEffects
from icltui.values.recipe import patch_words


@dataclass(frozen=True)
class TabShown:
    """Which tab is shown, and what of it."""

    tab: str
    layer: int
    measure: str
    plot: str = ""
    """What is plotted, in the tab of plots."""
    is_of_patch: bool = False
    """Whether that is a patch and no measurement."""
    picture: str = "numbers"
    """What the heatmap shows."""


def staleness(explorer: Explorer, shown: TabShown) -> str:
    """What of the tab belongs to an older prompt or recipe."""
    results, settings = explorer.results, explorer.settings
    match shown.tab:
        case "log":
            return ""
        case "plots" if shown.plot == "choice":
            return display(compilation_note(results, settings))
        case "plots" if shown.is_of_patch:
            return display(curves_note(results, settings, shown.plot == "alpha"))
        case "heatmap" if shown.picture == "effects":
            return display(inspection_note(results, settings, "effects"))
        case "curves" | "heads" as tab:
            return display(inspection_note(results, settings, tab))
        case "exam":
            return display(exam_note(results, settings) or compilation_note(results, settings))
        case "verify":
            return display(proof_note(results, settings))
    return display(numbers_note(results, settings))


def subtitle(explorer: Explorer, shown: TabShown) -> str:
    """What the tab's numbers are, and how they were measured."""
    results = explorer.results
    match shown.tab:
        case "curves":
            return _seconds(results.inspections.curves)
        case "heads":
            return _seconds(results.inspections.heads)
        case "stream":
            silence = " · no next tokens" if results.measured.is_mute else ""
            marks = f"{_sink(explorer)}{_noise(explorer, shown.layer)}"
            return f"layer {shown.layer}{marks} · {_method(explorer)}{silence}"
        case "plots":
            return _plot_subtitle(explorer, shown)
        case "heatmap" if shown.picture == "effects":
            return _effects_subtitle(results.inspections.effects)
        case "heatmap":
            return f"{_formula(explorer, shown.measure)} · {_method(explorer)}"
        case "exam":
            return tested_with(results.trials.exam, results.trials.compilation)
        case "text":
            return _method(explorer)
    return ""


def _effects_subtitle(effects: PatchEffects | None) -> str:
    """How far rounding alone goes, and how long the effects took."""
    if effects is None or not effects.seconds:
        return ""
    noise = "" if effects.noise is None else f"rounding {effects.noise:.2g} · "
    return f"the last layer's row is the context itself · {noise}{effects.seconds:.1f} s"


def _seconds(result: LossCurves | AttentionHeads | None) -> str:
    """What the tab's keys are, and how long its numbers took."""
    return f"w shows the next plot · {result.seconds:.1f} s" if result else ""


def _sink(explorer: Explorer) -> str:
    """A mark where a unit's numbers are about an attention sink, or where the query begins with one."""
    measured = explorer.results.measured
    if measured.ruled_unit is not None:
        return f" · {SINK} about the sink"
    return f" · {SINK} nothing kept" if measured.is_sink_in_query else ""


def _noise(explorer: Explorer, layer: int) -> str:
    """What ‖δ‖ comes to by rounding alone at this layer, where the model is in half precision."""
    measured = explorer.results.measured
    noise = measured.value("delta_noise", measured.last_unit, layer)
    return "" if noise is None else f" · ‖δ‖ rounds by {noise:.2g}"


def _formula(explorer: Explorer, measure: str) -> str:
    return MEASURES[measure].meaning(explorer.results.measured.dynamics)[1] or "undefined"


def _plot_subtitle(explorer: Explorer, shown: TabShown) -> str:
    if shown.plot == "choice":
        return "each query answered by a patch that was made without it"
    if not shown.is_of_patch:
        method = _method(explorer)
        return method if shown.plot == "tokens" else f"{_formula(explorer, shown.measure)} · {method}"
    origin = explorer.results.varied_origin
    request = origin.request if origin else None
    return patch_words(request.recipe) if isinstance(request, Generate) else ""


def _method(explorer: Explorer) -> str:
    """How the numbers shown were measured; where there are none, how they will be."""
    results = explorer.results
    origin = results.measured_origin
    request = origin.request if origin and isinstance(origin.request, Measure) else None
    return plain_method(request or explorer.settings.measure(), results.measured.path)
