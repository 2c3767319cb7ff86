"""A result's table as a data frame: the columns and cells of its CSV, each in its right type, in both libraries."""

import sys
from typing import Any

import pandas
import polars
import pytest

from icltui.report.curves import curves_csv
from icltui.report.exam import exam_csv
from icltui.report.heads import heads_csv
from icltui.report.measure_json_csv import measure_csv
from icltui.report.measures import PREDICTIONS
from icltui.text.escape import token_text
from icltui.text.spreadsheet import plain, read_csv
from icltui.values import Exam, ExamRow, Measurement
from icltui.values.base import Table
from icltui.values.errors import BadInput
from icltui.values.frame import make_frame
from tests.compilations import COMPILATION
from tests.curves_and_heads import CURVES, HEADS
from tests.sessions import A_GENERATION, A_MEASUREMENT, A_VERIFICATION

ROW = ExamRow(patch="plain", r_median=0.5, right=3, floats=10, collateral_kl=0.25)
EXAM = Exam(rows=(ROW, ExamRow(patch="frozen", reason="no query")), queries=(), calibration=("a",))
TABLES: dict[str, Table] = {
    "measurement": A_MEASUREMENT,
    "pairs": A_MEASUREMENT.pairs[0],
    "curves": CURVES,
    "heads": HEADS,
    "contributions": HEADS.contributions[0],
    "exam": EXAM,
    "compilation": COMPILATION,
    "verification": A_VERIFICATION,
    "generation": A_GENERATION,
}
CSV = {
    "measurement": measure_csv(A_MEASUREMENT),
    "curves": curves_csv(CURVES),
    "heads": heads_csv(HEADS),
    "exam": exam_csv(EXAM),
}


def cells_of(frame: Any) -> dict[str, list[Any]]:
    """The cells of a frame of either library, None where one is missing."""
    if isinstance(frame, polars.DataFrame):
        return frame.to_dict(as_series=False)
    return {name: [None if pandas.isna(cell) else cell for cell in frame[name]] for name in frame.columns}


def whole(cell: Any) -> Any:
    """A cell as a frame can hold it: half of a character is spelt out."""
    return cell.replace("\udc80", r"\udc80") if isinstance(cell, str) else cell


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_frame_has_every_cell_in_its_type(table: Table, library: Any) -> None:
    frame = table.frame(library)
    assert cells_of(frame) == {name: list(map(whole, cells)) for name, (_, cells) in table.columns().items()}
    kinds = {int: "int64", float: "float64", str: "string", bool: "bool"}
    for name, (kind, cells) in table.columns().items():
        assert str(frame[name].dtype).lower().replace("boolean", "bool") == kinds[kind], name
        assert {type(cell) for cell in cells} <= {kind, type(None)}, name
    assert len(frame) > 0


@pytest.mark.parametrize("name", CSV)
def test_a_frame_has_the_columns_and_cells_of_the_csv(name: str) -> None:
    columns = TABLES[name].columns()
    header, *lines = read_csv(CSV[name])
    assert list(columns) == header
    for column, (kind, cells) in columns.items():
        shown = [
            plain(token_text(cell) if kind is str else cell) if cell is not None else "" for cell in cells
        ]
        written = [line[header.index(column)] for line in lines]
        if column == "text":  # of unit 0, of which the frame has none
            written = ["" if text == "(no context)" else text for text in written]
        assert [text.lstrip("'") for text in shown] == [text.lstrip("'") for text in written], column


def test_texts_are_as_the_model_has_them() -> None:
    texts = A_MEASUREMENT.frame("polars")["text"].to_list()
    assert texts[::2] == [None, *(whole(unit.text) for unit in A_MEASUREMENT.tokens.units)]


def test_units_are_those_of_the_registry() -> None:
    named = {name: spec.unit for name, spec in PREDICTIONS.items() if spec.unit}
    assert named == Measurement.UNITS == A_MEASUREMENT.frame("pandas").attrs["units"]


def test_the_library_that_is_in_use_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(A_MEASUREMENT.frame(), pandas.DataFrame)
    monkeypatch.delitem(sys.modules, "pandas")
    assert isinstance(A_MEASUREMENT.frame(), polars.DataFrame)


def test_without_a_library_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert isinstance(A_MEASUREMENT.frame(), polars.DataFrame)
    with pytest.raises(BadInput, match=r"^a table needs pandas, which is not installed: pip install"):
        A_MEASUREMENT.frame("pandas")
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(
        BadInput, match=r"^a table needs pandas or polars, which is not installed: pip install"
    ):
        A_MEASUREMENT.frame()
    with pytest.raises(BadInput, match="use pandas or polars"):
        A_MEASUREMENT.frame("arrow")  # type: ignore[arg-type]


def test_missing_whole_numbers_stay_whole() -> None:
    columns = {"n": (int, [1, None]), "is": (bool, [True, None])}
    assert [str(dtype) for dtype in make_frame(columns, "pandas", {}).dtypes] == ["Int64", "boolean"]
    assert make_frame(columns, "polars", {}).dtypes == [polars.Int64, polars.Boolean]
