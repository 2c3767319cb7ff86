"""How the context was taken away, in a newcomer's words; the method's own words are in ``method_words``."""

from icltui.api.messages import Measure
from icltui.values import Path
from icltui.values.unit_choice import UnitChoice

_UNITS = {"token": "token", "line": "line", "sentence": "sentence", "auto": "unit"}
_DYNAMICS = {
    "grow": "each {unit} added in turn",
    "shrink": "each {unit} taken away in turn",
    "drop": "each {unit} left out alone",
}
_PASSES = {"packed": "in one pass", "loop": "a pass for each"}


def plain_method(request: Measure, path: Path | None = None) -> str:
    """What is done to the context: ``each token added in turn, all prefixes in one pass``.

    What is usual is not said: without the context the query moves up, and a missing unit was never there.
    """
    prompt = request.prompt
    what = _DYNAMICS[request.dynamics].format(unit=_UNITS.get(UnitChoice.parse(prompt.unit).kind, "piece"))
    prefixes = "all prefixes " if (request.dynamics, path) == ("grow", "packed") else ""
    parts = (
        what,
        "hidden from attention" if request.reference == "local" else "",
        "positions kept" if prompt.positions == "keep" else "",
        "in the chat template" if prompt.chat else "",
        "in float32" if request.precision == "float32" else "",
        f"{prefixes}{_PASSES[path]}" if path else "",
    )
    return ", ".join(filter(None, parts))
