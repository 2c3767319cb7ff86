"""The race between an engine in this process and one over HTTP."""

import pytest

from icltui.bench.http import PROMPTS, main


@pytest.mark.soak
def test_each_prompt_is_asked_here_and_over_http() -> None:
    head, _, *rows = (
        [cell.strip() for cell in line.strip("| ").split("|")] for line in main(repeat=3).split("\n")
    )
    assert [row[0] for row in rows] == list(PROMPTS)
    for row in rows:
        here, there, ratio = (float(row[head.index(name)]) for name in ("here, ms", "HTTP, ms", "ratio"))
        assert ratio == pytest.approx(there / here, rel=0.02)
        assert float(row[-1]) > 0
