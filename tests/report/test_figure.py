"""The figure: the same bytes each time, and no text that Matplotlib trips over."""

import warnings
import xml.etree.ElementTree as ElementTree

import msgspec
import pytest

from icltui.report import session_formats
from icltui.report.figure_data import curve_layers, heat, top_tokens
from icltui.values.errors import BadInput
from tests.sessions import A_MEASUREMENT, A_SESSION
from tests.tui import HOSTILE, samples

SESSION = samples.session()


def test_an_svg_is_the_same_each_time_and_holds_no_date():
    first, second = (session_formats.render_session(SESSION, "svg") for _ in range(2))
    assert first == second
    assert b"<dc:date>" not in first
    assert ElementTree.fromstring(first).tag.endswith("svg")


def test_a_png():
    data = session_formats.render_session(SESSION, "png")
    assert data.startswith(b"\x89PNG")
    assert int.from_bytes(data[16:20], "big") == 1440


def test_no_text_breaks_it_or_is_told_on_stderr(capfd):
    texts = (*HOSTILE, "$x_$", "$", "_nolegend", "𝔘𠀀", "a" * 200)
    measurement = samples.MEASUREMENT
    units = tuple(
        msgspec.structs.replace(unit, text=texts[i % len(texts)])
        for i, unit in enumerate(measurement.tokens.units)
    )
    tokens = msgspec.structs.replace(measurement.tokens, units=units)
    predictions = tuple(
        msgspec.structs.replace(
            p,
            top=tuple(
                msgspec.structs.replace(c, token=msgspec.structs.replace(c.token, text=text))
                for c, text in zip(p.top, ("$x_$", "_nolegend", *HOSTILE), strict=False)
            ),
        )
        for p in measurement.predictions
    )
    odd = msgspec.structs.replace(measurement, tokens=tokens, predictions=predictions)
    session = msgspec.structs.replace(SESSION, title="$a_$ \ud800", measurement=odd)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert session_formats.render_session(session, "svg")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("changes", [{"predictions": ()}, {"dynamics": "drop"}, {"layers": (1,)}])
def test_less_to_draw(changes):
    assert session_formats.render_session(
        msgspec.structs.replace(A_SESSION, measurement=msgspec.structs.replace(A_MEASUREMENT, **changes)),
        "svg",
    )


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(BadInput, match=r"figures need Matplotlib.*pip install 'icltui\[figure\]'"):
        session_formats.render_session(SESSION, "svg")


def test_the_settings_of_others_are_left_alone():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    session_formats.render_session(SESSION, "svg")
    assert dict(mpl.rcParams) == before


def test_the_numbers_of_the_figure():
    grid = heat(A_MEASUREMENT, "delta_norm")
    assert [str(value) for value in grid[0]] == ["nan", "0.25", "0.25"]
    assert curve_layers(range(24)) == (0, 5, 9, 14, 18, 23)
    assert curve_layers((3, 4)) == (3, 4)
    ((text, values, is_cut),) = top_tokens(A_MEASUREMENT)
    assert (text, values, is_cut) == ("·Rome", [0.75] * 3, False)


def test_a_token_that_is_not_always_recorded_is_marked():
    first, *others = A_MEASUREMENT.predictions
    alone = msgspec.structs.replace(first, top=first.top[1:])
    measurement = msgspec.structs.replace(A_MEASUREMENT, predictions=(alone, *others))
    rome, paris = top_tokens(measurement)
    assert (rome[0], str(rome[1][0]), rome[2]) == ("·Rome", "nan", True)
    assert (paris[0], paris[2]) == ("·Paris", False)
