"""Options of the benchmark that would do nothing are refused before any work."""

import pytest

from icltui.cli.main import main


@pytest.mark.parametrize(
    ("only", "options", "words"),
    [
        ("gpu", ["--model", "m"], "--model: of no use with --only gpu"),
        ("race", ["--tiny", "--bos", "never"], "--bos, --tiny: of no use with --only race"),
        ("components", ["-n", "8", "--no-memory"], "-n, --no-memory: of no use with --only components"),
        ("start", ["--device", "cpu", "--cpu-time"], "--cpu-time, --device: of no use with --only start"),
        ("screen", ["-q", "2"], "-q: of no use with --only screen"),
        ("", ["--tiny"], "--tiny: of no use without --only"),
        ("real", ["--shape", "gpt-2", "--model", "m"], "--shape and --model each name what is timed"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(only, options, words, capsys):
    assert main(["bench", *(["--only", only] if only else []), *options]) == 2
    assert words in capsys.readouterr().err
