"""Filters, orders and groups of rows, each against the same in plain Python."""

import contextlib
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icltui.tui.state.rows.filter_expression import LONGEST, parse_filter
from icltui.tui.state.rows.loaded_rows import LoadedRows, load_rows
from icltui.tui.state.rows.rows_view import RowsQuery, RowsView, rows_view
from icltui.values.errors import BadInput
from icltui.values.sweep import SweepRow
from tests.hostile import TEXTS
from tests.tui.rows_folders import a_row, rows_folder

N = 120
ROWS = [a_row(number) for number in range(N)]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> LoadedRows:
    """All of them, in two files."""
    folder = rows_folder(tmp_path_factory.mktemp("rows") / "sweep", range(50))
    return load_rows(rows_folder(folder, range(50, N)))


def shown(view: RowsView) -> list[int]:
    """The numbers of the rows, in their order."""
    prompts = view.rows.by_name["prompt"]
    return [int(str(prompts.at(view.index(line)))) - 1 for line in range(view.n_shown)]


def more(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and a > b


FILTERS: dict[str, Callable[[SweepRow], bool]] = {
    "": lambda _row: True,
    "kl_plain > 1": lambda row: more(row.kl_plain, 1),
    "kl_plain>1 kl_plain<2.5": lambda row: more(row.kl_plain, 1) and more(2.5, row.kl_plain),
    "not kl_plain > 1": lambda row: not more(row.kl_plain, 1),
    "kl_patched > kl_plain": lambda row: more(row.kl_patched, row.kl_plain),
    "kl_plain = none": lambda row: row.kl_plain is None,
    "error != none": lambda row: row.error is not None,
    "prompt ≤ 3 or prompt >= 118": lambda row: row.prompt <= 3 or row.prompt >= 118,
    "tag:capital": lambda row: "capital" in row.tags,
    "tags = true": lambda row: "true" in row.tags,
    "tags != true": lambda row: "true" not in row.tags,
    "-tags:ru -norway": lambda row: "true" not in row.tags and "Norway" not in row.context + row.query,
    "NORWAY": lambda _row: False,
    "norway": lambda row: "norway" in (row.context + row.query).lower(),
    '"of Spain is"': lambda row: "of Spain is" in row.context + row.query,
    "query:[/INST]": lambda row: "[/INST]" in row.query,
    "top1_patched = yes": lambda row: row.top1_patched is True,
    "top1_patched != true": lambda row: row.top1_patched is False,
    "delta_norms[-1] > 5": lambda row: row.delta_norms[-1] is not None and row.delta_norms[-1] > 5,
    "delta_norms[1] = 4": lambda row: row.delta_norms[1] == 4,
    "(kl_plain > 3 or tags:false) and not query:France": lambda row: (
        (more(row.kl_plain, 3) or "false" in row.tags) and "France" not in row.query
    ),
}


@pytest.mark.parametrize("text", FILTERS)
def test_a_filter_lets_through_what_it_says(rows: LoadedRows, text: str) -> None:
    wanted = [number for number, row in enumerate(ROWS) if FILTERS[text](row)]
    assert shown(rows_view(rows, RowsQuery(filter=text))) == wanted


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("kl_plan > 1", "there is no column 'kl_plan': did you mean kl_plain?"),
        ("kl_plain > x", "kl_plain is a number, and 'x' is none"),
        ("kl_plain >", "the filter ends where a value after '>' should be"),
        ("> 3", "'>' at character 1 is where"),
        ("(a or b", "the bracket at character 1 is not closed"),
        ("a)", "')' at character 2 has no bracket to close"),
        ("a 'b", "the quote at character 3 is not closed"),
        ("a or", "the filter ends where"),
        ("top1_patched = maybe", "top1_patched is true or false"),
        ("tags > a", "tags has several texts a row"),
        ("delta_norms > 1", "say which, as in delta_norms[-1] > 1"),
        ("kl_plain[0] > 1", "kl_plain has one value a row"),
        ("kl_plain > query", "have values of two kinds"),
        ("(" * 50 + "a" + ")" * 50, "within each other"),
        ("a" * (LONGEST + 1), "at most 2,000 are read"),
    ],
)
def test_a_filter_that_cannot_be_read_is_one_line(rows: LoadedRows, text: str, line: str) -> None:
    with pytest.raises(BadInput) as refused:
        rows_view(rows, RowsQuery(filter=text))
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


@given(TEXTS | st.text("ab>=<!:()'\"[-]. 1|&", max_size=12))
def test_any_text_is_a_filter_or_a_line(text: str) -> None:
    with contextlib.suppress(BadInput):
        parse_filter(text)


@pytest.mark.parametrize("name", ["kl_plain", "query", "tags", "top1_patched", "delta_norms"])
@pytest.mark.parametrize("is_descending", [False, True])
def test_rows_are_in_the_order_of_a_column(rows: LoadedRows, name: str, is_descending: bool) -> None:
    def value(number: int) -> object:
        held = getattr(ROWS[number], name)
        if name == "query":
            return held.encode("utf-8", "replace").decode().lower()
        if name == "tags":
            return ", ".join(held)
        return statistics.fmean(held) if name == "delta_norms" else held

    known = [number for number in range(N) if value(number) is not None]
    wanted = sorted(known, key=value, reverse=is_descending)  # type: ignore[arg-type]
    found = shown(rows_view(rows, RowsQuery(sort=name, is_descending=is_descending)))
    assert [value(number) for number in found[: len(known)]] == [value(number) for number in wanted]
    assert {*found} == {*range(N)}
    assert all(value(number) is None for number in found[len(known) :])
    assert found[len(known) :] == sorted(found[len(known) :]), "rows without a value stay as they were"


def test_an_order_goes_up_down_and_away() -> None:
    query = RowsQuery()
    orders = [(query := query.sorted_by("a")).sort + str(query.is_descending) for _ in range(4)]
    assert orders == ["aFalse", "aTrue", "False", "aFalse"]


@pytest.mark.parametrize("by", ["query", "tags", "top1_patched", "prompt"])
def test_groups_have_counts_and_medians(rows: LoadedRows, by: str) -> None:
    view = rows_view(rows, RowsQuery(filter="prompt > 20", group=by))
    groups = view.groups
    assert groups is not None
    at = [column.name for column in groups.columns].index("kl_plain")
    members: dict[object, list[SweepRow]] = {}
    for row in ROWS[20:]:
        values = (row.tags or (None,)) if by == "tags" else (getattr(row, by),)
        for value in values:
            text = value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
            members.setdefault(text, []).append(row)
    assert {group.value: group.count for group in groups.groups} == {k: len(v) for k, v in members.items()}
    for group in groups.groups:
        numbers = [row.kl_plain for row in members[group.value] if row.kl_plain is not None]
        assert group.medians[at] == (pytest.approx(statistics.median(numbers)) if numbers else None)


@pytest.mark.parametrize(
    ("by", "value"), [("tags", "true"), ("tags", None), ("top1_patched", True), ("prompt", 7)]
)
def test_a_group_opens(rows: LoadedRows, by: str, value: object) -> None:
    def is_in(row: SweepRow) -> bool:
        if by == "tags":
            return value in (row.tags or (None,))
        return getattr(row, by) == value

    view = rows_view(rows, RowsQuery(inside=(by, value)))
    assert shown(view) == [number for number in range(N) if is_in(ROWS[number])]


def test_too_many_groups_are_refused(rows: LoadedRows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icltui.tui.state.rows.group_rows.MOST_GROUPS", 100)
    with pytest.raises(BadInput, match="120 different values, for at most 100 groups"):
        rows_view(rows, RowsQuery(group="prompt"))
    with pytest.raises(BadInput, match="several numbers a row"):
        rows_view(rows, RowsQuery(group="delta_norms"))


def test_a_folder_without_rows_has_none(tmp_path: Path) -> None:
    rows = load_rows(rows_folder(tmp_path / "sweep", range(0)))
    assert rows_view(rows, RowsQuery()).n_shown == 0


def test_a_row_is_found_again_after_another_reading(tmp_path: Path) -> None:
    first = load_rows(rows_folder(tmp_path / "sweep", range(10, 20)))
    second = load_rows(rows_folder(tmp_path / "sweep", range(10)))
    at = second.row_like(first, 3)
    assert at is not None
    assert second.row(at)["key"] == first.row(3)["key"]
    assert first.row_like(second, 0) is None
