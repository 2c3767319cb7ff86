"""``icltui export --to csv|md|svg|png``: the file, one line, and no model."""

import csv
import subprocess
import sys
from base64 import b64decode

import pytest
from msgspec.structs import replace

from icltui.cli.export import add_arguments
from icltui.cli.main import main
from icltui.cli.options import changed_options
from icltui.cli.parser import parse
from icltui.report.markdown import markdown
from icltui.report.session_formats import SESSION_FORMATS, render_session
from icltui.storage.sessions import write_session
from icltui.values import Session
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from tests.sessions import A_SESSION
from tests.waiting import PATIENCE


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "s.json"
    write_session(path, A_SESSION)
    return path


def test_a_table_of_every_measure(capsys, saved, tmp_path):
    target = tmp_path / "out" / "s.csv"
    assert main(["export", str(saved), "--to", "csv", "-o", str(target)]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == (f"CSV table: {target}, {target.stat().st_size:,} bytes\n", "")
    with target.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["unit"], row["layer"]) for row in rows] == [(u, x) for u in "012" for x in "01"]
    assert rows[2]["relative_patch_norm"] == "0.01"
    assert (rows[2]["text"], rows[2]["token"], rows[2]["norm_gate"]) == ("The", "·Rome", "0.25")


@pytest.mark.parametrize("kind", SESSION_FORMATS)
def test_what_is_there_is_kept(capsys, saved, tmp_path, kind):
    target = tmp_path / "there"
    target.write_text("x")
    assert main(["export", str(saved), "--to", kind, "-o", str(target)]) == 2
    assert capsys.readouterr().err == f"icltui: {target} exists already: give -o another name\n"
    assert target.read_text() == "x"


@pytest.mark.parametrize("kind", [kind for kind in SESSION_FORMATS if kind not in ("md", "html")])
def test_a_session_without_measures(kind):
    with pytest.raises(BadInput, match="the session holds no measures, so there is no"):
        render_session(Session(prompt=Prompt(query="q")), kind)


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["--mode", "frozen"], "--mode"),
        (["--components", "shift"], "--components"),
        (["--dtype", "float64"], "--dtype"),
        (["--device-map", "auto"], "--device-map"),
        (["--site", "mlp=a.{layer}"], "--site"),
        (["--format", "json"], "--format"),
        ([], None),
    ],
)
def test_options_of_a_patch_mean_nothing_here(argv, name):
    args = parse(["export", "s.json", "--to", "csv", "-o", "x", *argv])
    assert changed_options(add_arguments, args) == ["--output", *([name] if name else [])]


def test_such_an_option_is_refused_before_anything_is_read(capsys):
    assert main(["export", "none.json", "--to", "md", "-o", "x", "--quantize", "4bit"]) == 2
    assert capsys.readouterr().err == (
        "icltui: --quantize means nothing to a Markdown report, which shows the session as it is: leave it out\n"
    )


def test_no_torch_is_loaded_and_nothing_is_said(saved, tmp_path):
    code = (
        "import sys\nfrom icltui.cli.main import main\n"
        f"codes = [main(['export', {str(saved)!r}, '--to', kind, '-o', {str(tmp_path)!r} + '/x.' + kind])"
        f" for kind in {SESSION_FORMATS!r}]\n"
        "print(codes, sorted({'torch', 'transformers', 'textual'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert (run.stdout.splitlines()[-1], run.stderr) == (f"{[0] * len(SESSION_FORMATS)} []", "")


def test_the_report_has_the_figure_in_it_and_text_stays_text():
    session = replace(A_SESSION, title="<script>alert(1)</script>")
    text = render_session(session, "md").decode()
    body, _, image = text.rpartition("[figure]: data:image/png;base64,")
    assert b64decode(image).startswith(b"\x89PNG")
    assert "][figure]\n" in body
    assert all(len(line) < 4000 for line in body.splitlines()), "what is read is not between bytes"
    page = render_session(session, "html").decode()
    assert f'<img src="data:image/png;base64,{image.strip()}"' in page
    assert "<script" not in page
    assert "<table>" in page


def test_without_matplotlib_the_report_has_no_figure(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert render_session(A_SESSION, "md").decode() == markdown(A_SESSION)
