"""Figures of summaries: each kind, the same bytes each time, and no text or number that Matplotlib trips over."""

import math
import warnings
import xml.etree.ElementTree as ElementTree

import msgspec
import pytest

from icltui.report.experiment_figure import _bin_edges, experiment_figure
from icltui.values.errors import BadInput
from icltui.values.results import FigureSeries, SummaryFigure
from tests.hostile import TOKENS, poisoned

XS = (1.0, 2.0, 3.0, 4.0)
SERIES = (
    FigureSeries(
        label="patched", x=XS, y=(1.0, 0.5, None, 0.1), low=(0.5, 0.2, None, 0.0), high=(2.0, 1, 1, 1)
    ),
    FigureSeries(label="random", x=XS, y=(2.0, 3.0, 4.0, 0.0)),
)
A_FIGURE = SummaryFigure(
    name="drops", title="Drops", kind="lines", x_label="layer", y_label="KL (nats)", series=SERIES
)
CELLS = ((1.0, 2.0, None), (4.0, 5.0), (0.1, 50.0, math.inf))
KINDS = ("lines", "histogram", "scatter", "bars", "heatmap")


def of(kind: str, **changes: object) -> SummaryFigure:
    cells = CELLS if kind == "heatmap" else ()
    return msgspec.structs.replace(A_FIGURE, kind=kind, cells=cells, **changes)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_the_same_picture_each_time_and_holds_no_date(kind):
    first, second = (experiment_figure(of(kind), "svg") for _ in range(2))
    assert first == second
    assert b"<dc:date>" not in first
    assert ElementTree.fromstring(first).tag.endswith("svg")
    assert experiment_figure(of(kind), "png").startswith(b"\x89PNG")


def paths(figure: SummaryFigure) -> str:
    return experiment_figure(figure, "svg").decode()


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_other_numbers_are_another_picture(kind):
    values = [msgspec.structs.replace(SERIES[0], x=(1.0, 2.0, 3.0, 9.0), y=(1.0, 0.5, 0.3, 0.2))]
    assert paths(of(kind)) != paths(of(kind, series=(*values, SERIES[1])))


def test_intervals_are_drawn():
    bare = msgspec.structs.replace(SERIES[0], low=(), high=())
    for kind in ("lines", "bars"):
        assert paths(of(kind)) != paths(of(kind, series=(bare, SERIES[1])))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "changes",
    [
        {"series": ()},
        {"series": (FigureSeries(label="", x=()),)},
        {"series": (FigureSeries(label="none", x=(None, math.nan), y=(None, math.inf)),)},
        {"series": (FigureSeries(label="one", x=(3.0,), y=(3.0,)),)},
        {"series": (FigureSeries(label="uneven", x=XS, y=(1.0,), low=(0.0,)),)},
        {"series": (FigureSeries(label="large", x=(-1e308, 1e308), y=(1e308, -1e308)),)},
        {
            "series": (FigureSeries(label="negative", x=(-1.0, -2.0), y=(-1.0, -2.0)),),
            "log_x": True,
            "log_y": True,
        },
        {"log_x": True, "log_y": True},
        {"ticks": tuple(map(str, range(200))), "y_ticks": tuple(map(str, range(200)))},
        {"series": SERIES * 8},
    ],
)
def test_no_number_breaks_it_or_is_told_on_stderr(kind, changes, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert experiment_figure(of(kind, **changes), "svg")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("cells", [(), ((),), ((None,),), ((1.0,),), ((-1.0, 0.0, 1.0),)])
def test_a_heatmap_of_few_cells(cells):
    assert experiment_figure(msgspec.structs.replace(of("heatmap"), cells=cells), "svg")


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_breaks_it(kind, capfd):
    texts = ["$x_$", "_nolegend", *TOKENS]
    for start in range(0, len(texts), 21):
        odd = poisoned(of(kind, ticks=("a",) * 14, y_ticks=("b",) * 3), texts[start : start + 21])
        assert experiment_figure(odd, "svg")
    assert capfd.readouterr() == ("", "")


def test_bins_hold_every_value():
    for values in ([0.0, 1.0], [3.0], [1e-300, 1e300], [-5.0, 5.0, 0.1] * 50):
        edges = _bin_edges(values, is_log=False)
        assert edges[0] <= min(values) <= max(values) <= edges[-1]
    edges = _bin_edges([0.1, 10.0, 1000.0], is_log=True)
    assert edges[0] <= 0.1
    assert edges[-1] >= 1000
    assert edges[1] / edges[0] == pytest.approx(edges[2] / edges[1])


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(BadInput, match=r"figures need Matplotlib.*pip install 'icltui\[study\]'"):
        experiment_figure(A_FIGURE, "svg")
