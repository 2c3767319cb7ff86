"""Everything of one measurement that has streamed in so far, ready to be asked for.

Rows and predictions enter, in any order of units; single values, series and bounds leave. Without Textual.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Self

from icltui.report.kept_prefix import SINK, is_ruled, ruled_unit
from icltui.report.measures import NOISE
from icltui.report.top_token_flips import flip_at
from icltui.tui.state.shade_bounds import Bounds, shade_bounds
from icltui.values import Dynamics, Measurement, Path, Prediction, Row, Sink, TokenizedPrompt

EMPTY_CONTEXT, FULL_CONTEXT = "∅", "nothing"
"""The text of unit 0: where *grow* begins; and what is missing where *shrink* and *drop* do."""


class MeasuredUnits:
    """A mutable aggregate of what streamed in; ``version`` grows with each change."""

    def __init__(
        self,
        tokens: TokenizedPrompt | None = None,
        dynamics: Dynamics = "grow",
        sink: Sink | None = None,
    ) -> None:
        self.tokens, self.dynamics = tokens, dynamics
        is_about_sink = tokens is not None and is_ruled(sink, tokens.ids)
        self.ruled_unit = ruled_unit(dynamics, len(tokens.units)) if tokens and is_about_sink else None
        """The unit whose ‖δ‖ is about an attention sink; None where there is none."""
        self.is_sink_in_query = sink is not None and tokens is not None and not tokens.ids.prefix
        """Whether the query's first token is an attention sink without the context, as nothing is kept before it."""
        self.version = 0
        self.path: Path | None = None
        """How the units were measured; None until all of them are."""
        self._rows: dict[int, dict[int, Row]] = {}
        self._predictions: dict[int, Prediction] = {}
        self._changed: dict[int, int] = {}
        """The version at which each unit changed last."""
        self._last_unit = -1
        self._sorted: dict[tuple[str, tuple[int, ...], bool], list[float]] = {}
        """The finite numbers of a measure on some layers, ascending; or only the positive ones."""
        self._peaks: dict[tuple[str, int, int], list[float | None]] = {}

    @classmethod
    def from_measurement(cls, measurement: Measurement, sink: Sink | None = None) -> Self:
        """The units of a measurement that has ended, on a model with this sink."""
        sink = sink if measurement.reference == "free" else None
        measured = cls(measurement.tokens, measurement.dynamics, sink)
        measured.add(measurement.rows, measurement.predictions)
        measured.path = measurement.path
        return measured

    def add(self, rows: Iterable[Row], predictions: Iterable[Prediction]) -> None:
        """Take in one chunk; a row or a prediction that came before is replaced."""
        self.version += 1
        rows, predictions = tuple(rows), tuple(predictions)
        if any(row.unit in self._rows.get(row.layer, ()) for row in rows):
            self._sorted.clear()
            self._peaks.clear()
        n_units = self.n_units
        for row in rows:
            self._rows.setdefault(row.layer, {})[row.unit] = row
            self._changed[row.unit] = self.version
        for prediction in predictions:
            self._predictions[prediction.unit] = prediction
            self._changed[prediction.unit] = self.version
        new = (*(row.unit for row in rows), *(prediction.unit for prediction in predictions))
        self._last_unit = max((self._last_unit, *new))
        for key in self._sorted:
            self._sort_in(key, rows)
        if self.n_units != n_units:
            self._peaks.clear()
        for (measure, layer, _), peaks in self._peaks.items():
            self._raise(peaks, measure, (row for row in rows if row.layer == layer))

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers seen so far, ascending."""
        return tuple(sorted(self._rows))

    @property
    def units(self) -> frozenset[int]:
        """The units that something is known of."""
        return frozenset(self._changed)

    def is_measured(self, unit: int) -> bool:
        """Whether anything is known of ``unit``."""
        return unit in self._changed

    @property
    def n_measured(self) -> int:
        """How many units something is known of, the empty context among them."""
        return len(self._changed)

    @property
    def last_unit(self) -> int:
        """The highest unit that something is known of; −1 when nothing is."""
        return self._last_unit

    @property
    def n_units(self) -> int:
        """How many units there are to measure, the empty context among them; 0 when nothing was begun."""
        expected = len(self.tokens.units) + 1 if self.tokens else 0
        return max(expected, self.last_unit + 1)

    def value(self, measure: str, unit: int, layer: int) -> float | None:
        """One number; None where it is undefined or has not come yet."""
        row = self._rows.get(layer, {}).get(unit)
        return None if row is None else getattr(row, measure)

    def mark(self, measure: str, unit: int, layer: int) -> str:
        """The mark before a number: of a ‖δ‖ about a sink, or of one within rounding; else empty."""
        if (
            measure == "delta_norm"
            and unit == self.ruled_unit
            and self.value(measure, unit, layer) is not None
        ):
            return SINK
        return NOISE if self.is_noise(measure, unit, layer) else ""

    def is_noise(self, measure: str, unit: int, layer: int) -> bool:
        """Whether the number is a ‖δ‖ that is no more than what rounding alone comes to."""
        row = self._rows.get(layer, {}).get(unit)
        return measure == "delta_norm" and row is not None and row.is_noise

    def series(self, measure: str, layer: int) -> list[float | None]:
        """The numbers of one layer, indexed by unit."""
        rows = self._rows.get(layer, {})
        return [getattr(rows[unit], measure) if unit in rows else None for unit in range(self.n_units)]

    def peaks(self, measure: str, layer: int, n: int) -> list[float | None]:
        """The numbers of one layer in at most ``n`` bins of equal size, the greatest of each."""
        key = (measure, layer, min(n, self.n_units))
        if key not in self._peaks:
            self._peaks[key] = [None] * key[2]
            self._raise(self._peaks[key], measure, self._rows.get(layer, {}).values())
        return self._peaks[key]

    def _raise(self, peaks: list[float | None], measure: str, rows: Iterable[Row]) -> None:
        """Let known peaks hold ``rows`` too."""
        n_units = self.n_units
        for row in rows:
            value, place = getattr(row, measure), row.unit * len(peaks) // n_units
            before = peaks[place]
            if value is not None and (before is None or value > before):
                peaks[place] = value

    def changed_at(self, units: Iterable[int]) -> int:
        """The version at which any of ``units`` changed last; 0 where nothing is known of them."""
        return max((self._changed.get(unit, 0) for unit in units), default=0)

    def bounds(self, measure: str, layers: Sequence[int], *, positive: bool = False) -> Bounds | None:
        """The least and greatest finite number on ``layers``; only positive ones, if a log scale asks."""
        values = self._ascending(measure, layers, positive)
        return (values[0], values[-1]) if values else None

    def shade_bounds(self, measure: str, layers: Sequence[int], *, positive: bool = False) -> Bounds | None:
        """The ends of a ramp for the numbers on ``layers``; for the positive ones, if a log scale asks."""
        return shade_bounds(self._ascending(measure, layers, positive))

    def mean(self, measure: str, layer: int) -> float | None:
        """The mean over the units, without a ‖δ‖ about an attention sink; None where there is no finite number."""
        values = self._ascending(measure, (layer,), False)
        about_sink = None if self.ruled_unit is None else self.value(measure, self.ruled_unit, layer)
        is_left_out = measure == "delta_norm" and about_sink is not None and math.isfinite(about_sink)
        n = len(values) - is_left_out
        return (math.fsum(values) - (about_sink or 0.0) * is_left_out) / n if n else None

    def busiest_layer(self, measure: str) -> int | None:
        """The layer with the greatest mean; None where there are no numbers."""
        means = {layer: self.mean(measure, layer) for layer in self.layers}
        known = {layer: mean for layer, mean in means.items() if mean is not None}
        return max(known, key=lambda layer: known[layer]) if known else None

    def _ascending(self, measure: str, layers: Sequence[int], positive: bool) -> list[float]:
        key = (measure, tuple(layers), positive)
        if key not in self._sorted:
            self._sorted[key] = []
            self._sort_in(key, [row for layer in layers for row in self._rows.get(layer, {}).values()])
        return self._sorted[key]

    def _sort_in(self, key: tuple[str, tuple[int, ...], bool], rows: Iterable[Row]) -> None:
        """Let known numbers hold those of ``rows`` too, which costs less than to look at every row again."""
        measure, layers, positive = key
        found = (getattr(row, measure) for row in rows if row.layer in layers)
        finite = (value for value in found if value is not None and math.isfinite(value))
        self._sorted[key].extend(value for value in finite if value > 0 or not positive)
        self._sorted[key].sort()  # quick on what is sorted but for its end

    def prediction(self, unit: int) -> Prediction | None:
        """The next-token distribution after ``unit``."""
        return self._predictions.get(unit)

    @property
    def is_mute(self) -> bool:
        """Whether the measure has ended and took no next tokens: they would have cost a pass for each unit."""
        return self.path is not None and not self._predictions

    def matrix_norms(self, unit: int, layer: int) -> dict[str, float | None]:
        """‖ΔW‖ of a unit by the name of the matrix; empty where it is not known."""
        row = self._rows.get(layer, {}).get(unit)
        return row.matrix_norms if row else {}

    def has_changed(self, unit: int) -> bool:
        """Whether the most probable next token at ``unit`` differs from that at the unit before, or, where units are
        dropped one at a time, from the full context's.
        """
        return flip_at(self.prediction, unit, self.dynamics) is not None

    def unit_text(self, unit: int) -> str:
        """The unit's own text, as it is; for unit 0 what the dynamics begins with."""
        if unit == 0:
            return EMPTY_CONTEXT if self.dynamics == "grow" else FULL_CONTEXT
        units = self.tokens.units if self.tokens else ()
        return units[unit - 1].text if 0 < unit <= len(units) else ""
