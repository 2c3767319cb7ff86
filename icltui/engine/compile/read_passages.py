"""The passages of a spec: its prompt's, its calibration queries' and its unseen queries'.

Enters: a :class:`~icltui.engine.patch.build.PatchSpec`. Leaves: :class:`SpecPassages`. The context runs once for all.
"""

from dataclasses import dataclass
from functools import partial

from icltui.api.progress_callback import ProgressCallback
from icltui.engine.patch.build import PatchSpec, n_with_room
from icltui.engine.patch.calibration import Passage, PassageReader


@dataclass(frozen=True)
class SpecPassages:
    """Each with as many tokens of its contextual continuation as are fitted, or as there is room for."""

    own: Passage
    calibration: list[Passage]
    unseen: list[Passage]


def read_passages(spec: PatchSpec, on_progress: ProgressCallback) -> SpecPassages:
    """Every passage; a query that comes twice is read once."""
    rows = [spec.ids, *spec.calibration, *spec.holdout]
    reader = PassageReader(spec.loaded, spec.sites, spec.positions, len(rows))
    by_query: dict[tuple[int, ...], Passage] = {}
    for number, ids in enumerate(rows):
        still = partial(on_progress, "reading the contextual text", number, len(rows))
        still()
        if ids.query not in by_query:
            by_query[ids.query] = reader.read(ids, n_with_room(spec, ids, spec.n_fitted), still)
    own, *others = (by_query[ids.query] for ids in rows)
    n = len(spec.calibration)
    return SpecPassages(own, others[:n], others[n:])
