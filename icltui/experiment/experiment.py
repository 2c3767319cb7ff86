"""What an experiment is: a frozen, picklable value that names models and items, runs items, and sums up its rows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from icltui.api.messages import LoadModel
from icltui.engine.local import LocalEngine
from icltui.values import ModelInfo
from icltui.values.results import ResultRow, Summary

ItemT = TypeVar("ItemT")
RowT_co = TypeVar("RowT_co", bound=ResultRow, covariant=True)


class Experiment(Protocol, Generic[ItemT, RowT_co]):
    """A frozen dataclass that pickles: it travels to other processes whole."""

    @property
    def kind(self) -> str:
        """``sweep``, or the study's name."""
        ...

    @property
    def row_type(self) -> type[RowT_co]:
        """The struct of its rows."""
        ...

    def asked(self) -> Mapping[str, object]:
        """What was asked, in plain JSON: a folder holds the rows of one ``asked`` alone."""
        ...

    def models(self) -> Sequence[LoadModel]:
        """The models, one after the other."""
        ...

    def items(self, engine: LocalEngine, model: ModelInfo) -> Sequence[tuple[str, ItemT]]:
        """All items for the loaded model, each with its key: a hash of what it asks, never of where it is.

        Items that run together in one batch name it in a field ``batch``, hexadecimal digits: *run* gets all of them or
        none, in this order.
        """
        ...

    def run(
        self, engine: LocalEngine, model: ModelInfo, items: Sequence[tuple[str, ItemT]]
    ) -> Iterator[Sequence[RowT_co]]:
        """The rows of each item, item after item, in any order; an item that fails gives one row with its error."""
        ...

    def summarise(self, rows: Sequence[Mapping[str, object]]) -> Summary:
        """What the rows, as plain dictionaries, add up to."""
        ...
