"""What a headless command says while a model loads: on a terminal, into a file, and when it fails."""

import io

import pytest

from icltui.api.messages import ModelEstimated, Progress
from icltui.cli.load_progress import estimate_line, progress_line, show_load_progress
from icltui.values import Estimate

ESTIMATE = Estimate(
    n_parameters=124_439_808, weight_bytes=497_759_232, measure_bytes=2**27, available_bytes=2**34
)
LINE = "gpt2: 124 M parameters, 498 MB of weights, a measure adds up to 134 MB, 17.2 GB free"
EVENTS = (
    Progress(stage="loading gpt2", done=0, total=0),
    ModelEstimated(estimate=ESTIMATE),
    Progress(stage="loading gpt2", done=2**28, total=2**30),
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def said(stream: io.StringIO, name: str = "gpt2") -> str:
    with show_load_progress(stream, name) as on_event:
        for event in EVENTS:
            on_event(event)
    return stream.getvalue()


def test_a_file_holds_the_size_alone():
    assert said(io.StringIO()) == LINE + "\n"


def test_the_embedded_model_loads_in_silence():
    assert said(io.StringIO(), "demo") == ""


def test_a_terminal_shows_how_far_it_is_and_is_left_clean():
    text = said(Terminal())
    lines = [line.split("\x1b[K")[-1] for line in text.split("\n")]
    assert lines == [LINE, ""]
    assert "loading gpt2  268 MB of 1.07 GB" in text


def test_a_terminal_is_left_clean_after_an_error():
    stream = Terminal()

    def fail():
        with show_load_progress(stream, "gpt2") as on_event:
            on_event(EVENTS[0])
            raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        fail()
    assert stream.getvalue().endswith("loading gpt2\r\x1b[K")


@pytest.mark.parametrize(
    ("number", "text"),
    [(12, "12"), (37_000, "37 K"), (999_700, "1 M"), (1_312_768, "1.31 M"), (7_615_616_512, "7.62 B")],
)
def test_parameters_have_three_digits(number, text):
    estimate = Estimate(n_parameters=number, weight_bytes=0, measure_bytes=0, available_bytes=0)
    assert estimate_line("m", estimate).startswith(f"m: {text} parameters, ")


def test_progress_of_unknown_length_is_its_stage():
    assert progress_line(EVENTS[0]) == "loading gpt2"


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [(3, 12, "3 of 12"), (2**20, 2**22, "1.05 MB of 4.19 MB"), (2**20, 2**30, "1.05 MB of 1.07 GB")],
)
def test_passes_are_counted_and_bytes_have_their_unit(done, total, text):
    assert progress_line(Progress(stage="at work", done=done, total=total)) == f"at work  {text}"
