"""An experiment without a model's numbers: what the machine does with items, workers and kills."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from icltui import __version__
from icltui.api.messages import LoadModel
from icltui.engine.local import LocalEngine
from icltui.experiment.item_key import item_key
from icltui.storage.rows_folder import claim_folder
from icltui.values import ModelInfo
from icltui.values.errors import ModelError
from icltui.values.results import ResultRow, Summary
from icltui.values.sweep import RowsFolder


class SquareRow(ResultRow, frozen=True):
    """A number, its square, and what is in the batch with it."""

    number: int | None = None
    square: int | None = None
    batch_of: tuple[int, ...] = ()
    seconds: float | None = None


@dataclass(frozen=True)
class Number:
    """One item; those of a batch run together."""

    value: int
    batch: str


@dataclass(frozen=True)
class Squares:
    """Squares of the numbers below ``n`` on the embedded model, which has no part in it."""

    n: int
    seconds_each: float = 0.0
    n_of_batch: int = 5
    broken: tuple[int, ...] = ()
    """Numbers that have no square."""
    deadly: str = ""
    """A folder: the first process that runs 3 leaves a file there and dies."""
    poison: tuple[int, ...] = ()
    """Numbers that end every process that runs them."""
    models_asked: tuple[LoadModel, ...] = field(default=(LoadModel(),))

    kind: str = "squares"
    row_type: type[SquareRow] = SquareRow

    def asked(self) -> Mapping[str, object]:
        return {"n": self.n}

    def models(self) -> Sequence[LoadModel]:
        return self.models_asked

    def items(self, engine: LocalEngine, model: ModelInfo) -> Sequence[tuple[str, Number]]:
        del engine
        of_batch = [item_key("batch", model, [self.n, at // self.n_of_batch]) for at in range(self.n)]
        return [(item_key(self.kind, model, at), Number(at, of_batch[at])) for at in range(self.n)]

    def run(
        self, engine: LocalEngine, model: ModelInfo, items: Sequence[tuple[str, Number]]
    ) -> Iterator[Sequence[SquareRow]]:
        del engine, model
        for key, item in items:
            time.sleep(self.seconds_each)
            if item.value == 3 and self.deadly:
                self._die_once()
            if item.value in self.poison:
                os._exit(1)
            if item.value in self.broken:
                yield [SquareRow(key=key, error="no square", number=item.value)]
                continue
            batch = tuple(other.value for _, other in items if other.batch == item.batch)
            square = item.value**2
            yield [SquareRow(key=key, number=item.value, square=square, batch_of=batch, seconds=time.time())]

    def _die_once(self) -> None:
        try:
            (Path(self.deadly) / "died").touch(exist_ok=False)
        except FileExistsError:
            return
        os._exit(1)

    def summarise(self, rows: Sequence[Mapping[str, object]]) -> Summary:
        return Summary(title="Squares", n_rows=len(rows))


def claimed(folder: Path, experiment: Squares) -> Path:
    """The folder, ready for rows."""
    columns = tuple(experiment.row_type.__struct_fields__)
    claim_folder(
        folder,
        RowsFolder(
            kind=experiment.kind, version=__version__, asked=dict(experiment.asked()), columns=columns
        ),
    )
    return folder


MISSING = LoadModel(model="/no/such/model")
__all__ = ["MISSING", "ModelError", "SquareRow", "Squares", "claimed"]
