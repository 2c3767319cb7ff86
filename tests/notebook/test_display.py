"""What a notebook shows: an SVG with controls and verdict, HTML without Matplotlib, and no text that is markup."""

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

import icltui
from icltui.notebook import display
from icltui.report.session_picture import controls, session_picture, verdict_lines
from icltui.storage.sessions import read_session
from icltui.text.html import MOST_ROWS
from icltui.values import Candidate, Prediction, Row, Session, Token, Unit
from icltui.values.prompt import Prompt
from tests import hostile
from tests.compilations import COMPILATION
from tests.curves_and_heads import CURVES, HEADS
from tests.sessions import A_GENERATION, A_MEASUREMENT, A_MODEL, A_SESSION, A_VERIFICATION
from tests.tui.samples import exam

SAVED = Path(__file__).parents[2] / "sessions" / "contradicted-capital.json"
SCRIPT = "<script>alert(1)</script>--><img src=x onerror=alert(1)>"


class Tags(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: set[tuple[str, frozenset[str]]] = set()
        self.open: list[str] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.add((tag, frozenset(name for name, _ in attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def without_matplotlib(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)


def test_a_session_is_one_svg_that_is_the_same_each_time_and_sets_nothing():
    import matplotlib as mpl

    before = dict.copy(mpl.rcParams)  # which leaves a backend that is not chosen yet unchosen
    opened = icltui.Session.open(SAVED)
    bundle = opened._repr_mimebundle_()
    assert bundle.keys() == {"text/plain", "image/svg+xml"}
    assert bundle["image/svg+xml"] == opened._repr_svg_()
    assert ElementTree.fromstring(bundle["image/svg+xml"]).tag.endswith("svg")
    alone = opened.measurement._repr_mimebundle_(include=None, exclude=None)
    assert len(alone["image/svg+xml"]) < len(bundle["image/svg+xml"])
    assert dict.copy(mpl.rcParams) == before
    assert "control: random" in bundle["text/plain"]


@pytest.mark.usefixtures("without_matplotlib")
def test_in_a_notebook_nothing_is_shown_but_what_is_asked_for(monkeypatch):
    """Where rich finds Jupyter, a console shows by itself what it should write to its file."""
    wanted = display.bundle_of(A_VERIFICATION)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("rich.jupyter.display", lambda *_: pytest.fail("rich shows it in the notebook"))
    assert display.bundle_of(A_VERIFICATION) == wanted


def test_controls_and_verdict_are_those_of_the_session():
    session = read_session(SAVED)
    shown = controls(session)
    assert shown["random"] == session.verification.controls["random"].linf
    assert shown["patched"] == session.verification.logits["patched"].linf
    assert next(verdict_lines(session)) == "proof: ok"
    failed = msgspec.structs.replace(session.verification, ok=False, caveat="layer 3 misses")
    assert next(verdict_lines(msgspec.structs.replace(session, verification=failed))) == (
        "proof: FAILED: layer 3 misses"
    )
    none = msgspec.structs.replace(session, verification=None, generation=None)
    assert list(verdict_lines(none)) == ["No controls: nothing was proved or generated."]


def long_session(n_units: int, n_layers: int) -> Session:
    """Numbers without any order, which no format makes smaller."""
    tokens = [Token(id=k, text=f" t{k}") for k in range(6)]

    def number(*parts: int) -> float:
        return 1e-3 + hash(parts) % 1009 / 1009

    rows = (
        Row(
            unit=unit,
            layer=layer,
            z_norm=8.0,
            learning_rate=0.1,
            net_patch_norm=0.1,
            delta_norm=number(unit, layer) if unit else None,
            relative_patch_norm=number(layer, unit, 1) if unit else None,
        )
        for unit in range(n_units + 1)
        for layer in range(n_layers)
    )

    def prediction(unit: int) -> Prediction:
        top = [Candidate(token=token, probability=number(unit, token.id, 2) / 6) for token in tokens]
        top.sort(key=lambda candidate: -candidate.probability)
        return Prediction(unit=unit, top=tuple(top), entropy=1.0, kl_to_full=0.1)

    units = tuple(Unit(index=index, text=f" w{index}", tokens=1) for index in range(1, n_units + 1))
    return msgspec.structs.replace(
        A_SESSION,
        model=msgspec.structs.replace(A_MODEL, n_layers=n_layers),
        measurement=msgspec.structs.replace(
            A_MEASUREMENT,
            tokens=msgspec.structs.replace(A_MEASUREMENT.tokens, units=units),
            layers=tuple(range(n_layers)),
            rows=tuple(rows),
            predictions=tuple(map(prediction, range(n_units + 1))),
            pairs=(),
        ),
    )


@pytest.mark.zoo
def test_a_long_session_is_under_300_kilobytes():
    session = long_session(1000, 30)
    drawn = session_picture(session)
    assert len(drawn) < 300_000
    assert "Of every 4 units the curves show the largest value." in list(verdict_lines(session))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda _name: None)
        assert len(display.bundle_of_session(session)["text/html"]) < 100_000


@pytest.mark.usefixtures("without_matplotlib")
def test_without_matplotlib_it_is_html():
    opened = icltui.Session.open(SAVED)
    bundle = opened._repr_mimebundle_()
    assert bundle.keys() == {"text/plain", "text/html"}
    assert opened._repr_svg_() is None
    for word in ("·Rome", "control: random", "noise floor", "With context"):
        assert word in bundle["text/html"]
    Tags(bundle["text/html"])


def test_results_show_themselves():
    for value, words in (
        (A_GENERATION, ["With context", "Query only · 1 of 2 tokens as with the context", "plain"]),
        (A_VERIFICATION, ["ok", "control: shuffled", "noise floor"]),
        (CURVES, ["Loss by position in nats", "What it adds up to"]),
        (HEADS, ["Induction heads", "Previous-token heads"]),
        (COMPILATION, ["Unseen queries, answered three ways"]),
        (exam(), ["The queries through the patch"]),
    ):
        bundle = value._repr_mimebundle_(include=None, exclude=None)
        assert bundle.keys() == {"text/plain", "text/html"}
        assert not re.search("--[a-z]", bundle["text/plain"])  # an option of the command line
        Tags(bundle["text/html"])
        for word in words:
            assert word in bundle["text/html"]
            assert word in bundle["text/plain"]


def test_what_the_lanes_do_not_share_stands_out():
    generation = read_session(SAVED).generation
    page = display.bundle_of(generation)["text/html"]
    n_marked = page.count("<span")
    wrong = generation.agreement["plain"]
    assert n_marked == wrong.total - wrong.equal
    assert "·Paris</span>" in page


@pytest.mark.parametrize("text", [SCRIPT, *hostile.TOKENS[:12], "\ud800]]>"])
def test_no_text_is_markup(text):
    poisoned = hostile.poisoned(msgspec.structs.replace(A_SESSION, runs=()), [text])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda _name: None)
        tags = Tags(display.bundle_of_session(poisoned)["text/html"])
    assert tags.seen <= {
        *((tag, frozenset({"style"})) for tag in ("div", "span", "table", "th", "td", "tr")),
        *((tag, frozenset()) for tag in ("div", "b", "thead", "tbody")),
    }


def test_no_text_is_markup_in_the_picture():
    poisoned = hostile.poisoned(msgspec.structs.replace(A_SESSION, runs=()), [SCRIPT])
    drawn = session_picture(poisoned)
    root = ElementTree.fromstring(drawn)
    kinds = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not kinds & {"script", "foreignObject", "a"}
    assert not any(name.startswith("on") for element in root.iter() for name in element.attrib)
    assert b"alert" not in drawn  # text is shapes


def test_a_table_says_how_many_rows_it_leaves_out():
    layers = tuple(msgspec.structs.replace(A_VERIFICATION.layers[0], layer=k) for k in range(MOST_ROWS + 7))
    page = display.bundle_of(msgspec.structs.replace(A_VERIFICATION, layers=layers))["text/html"]
    assert "… and 7 more rows" in page


def test_a_session_without_results_shows_its_prompt():
    bundle = display.bundle_of_session(Session(prompt=Prompt(context="a <b>", query="q"), created=""))
    assert "a &lt;b&gt;" in bundle["text/html"]
    assert "a <b>" in bundle["text/plain"]
