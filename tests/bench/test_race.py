"""The benchmark on a tiny model: finite ratios, and no race against a wrong answer."""

import math
import re
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from icltui.api.progress_callback import ignore_progress
from icltui.bench import methods, model_and_prompts, model_shapes, race
from icltui.bench.methods import Method, MethodResult
from icltui.bench.race_table import race_table
from icltui.cli.main import main
from icltui.values.errors import BadInput, EngineError
from tests.bench.conftest import SIZE

PACKED = methods.METHODS[0]


def changed(factor: float) -> Method:
    """Our method, with one number of one layer changed."""

    def prepare(given: model_and_prompts.BenchModel) -> methods.RunMethod:
        run = PACKED.prepare(given)

        def wrong(prompt: model_and_prompts.TokenPrompt) -> MethodResult:
            answer = run(prompt)
            assert answer is not None
            figures = answer.figures.clone()
            figures[-1, 1, 1] *= factor
            return replace(answer, figures=figures)

        return wrong

    return Method("wrong", prepare)


def test_command_prints_finite_ratios(capsys):
    words = "-n 6 -q 2 --repeat 1 --no-memory --only race"
    assert main(["bench", *words.split()]) == 0
    out, err = capsys.readouterr()
    assert "n = 6, q = 2" in err
    ratios, seconds = out.split("Times as long")[1].split("Seconds")
    names = "our loop|hooks|hooks, batched|script with SVD|packed / plain, time|first rows / all rows"
    found = {match[1]: float(match[2]) for match in re.finditer(rf"^({names}) +(\S+)$", ratios, re.MULTILINE)}
    assert set(found) == set(names.split("|"))
    assert all(0 < value < math.inf for value in found.values())
    assert found["first rows / all rows"] <= 1
    assert re.search(r"^packed +[\d.e-]+$", seconds, re.MULTILINE)


def test_every_way_that_is_here_agrees():
    result = race.race(SIZE, ignore_progress)
    here = [method.name for method in methods.METHODS if method.is_here]
    assert [line.method for line in result.rows] == here
    assert len(result.notes) == len(methods.METHODS) - len(here)
    for method in methods.METHODS:
        assert method.is_here or any(
            f"{method.name}: skipped, {method.needs} is not installed" == note for note in result.notes
        )
    assert race_table(result, 100).endswith("\n")


@pytest.mark.parametrize("factor", [1.01, math.nan])
def test_other_numbers_end_the_race(factor):
    with pytest.raises(
        EngineError, match=r"wrong gives another ‖ΔW‖ than we do at n = 6, q = 2: relative difference"
    ):
        race.race(SIZE, ignore_progress, (PACKED, changed(factor)))


def test_rounding_does_not():
    assert len(race.race(SIZE, ignore_progress, (PACKED, changed(1 + 1e-5))).rows) == 2


def test_no_update_is_no_rank_one():
    layer = SimpleNamespace(matrices=[(torch.eye(3), torch.eye(3))])
    with pytest.raises(EngineError, match="rank 0"):
        methods._formed(layer, 0, torch.zeros(3), torch.ones(3))


def test_a_slow_way_is_left_out_with_a_note():
    slow = Method("slow", partial(methods.prefix_by_prefix, observer=methods.hooks))
    result = race.race(replace(SIZE, context_sizes=(6, 12), limit=1e-9), ignore_progress, (PACKED, slow))
    assert [(line.method, line.n) for line in result.rows] == [("packed", 6), ("slow", 6), ("packed", 12)]
    assert result.notes[0].startswith("slow: skipped at n = 12, q = 2: about")


def test_table_has_peaks_where_there_are_any():
    size = {"n": 8, "q": 2, "first": None}
    lines = (
        race.RaceRow("packed", seconds=2.0, peak=3 * 2**20, **size),
        race.RaceRow("plain forward", seconds=4.0, peak=2**22, **size),
    )
    text = race_table(race.Race(SIZE, "model", 1, lines, ()), 100)
    assert re.search(r"packed / plain, time +0.5\n", text)
    assert re.search(r"packed / plain, memory +0.75\n", text)
    assert re.search(r"megabytes\n\n +8,2\npacked +3\nplain forward +4\n", text)


def test_growth_is_the_power_of_n():
    assert race.exponent([(64, 1.0), (256, 16.0), (1024, 256.0)]) == pytest.approx(2)
    assert race.exponent([(64, 1.0)]) is None
    assert race._expected([(64, 1.0), (256, 4.0)], 1024) == pytest.approx(16)
    assert race._expected([(64, 1.0)], 128) == pytest.approx(4)


def test_a_task_has_exactly_so_many_tokens():
    prompt = model_and_prompts.load_bench_model(SIZE).prompt(11, 3)
    assert (prompt.n, prompt.q) == (11, 3)
    assert prompt.row(4) == [*prompt.prefix, *prompt.context[:4], *prompt.query]
    assert prompt.longest(2).begin == 10
    assert prompt.longest(99).begin == 1


@pytest.mark.parametrize("words", ["-n 0", "-q x", "--repeat 0", "--limit 0", "--device nowhere"])
def test_bad_words_are_refused(words, capsys):
    assert main(["bench", "-n", "6", "-q", "2", *words.split()]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_size_that_is_no_number_is_told_with_what_to_give(capsys):
    assert main(["bench", "-q", "1,x"]) == 2
    assert "argument -q: 'x' is not a whole number: give 1 or more" in capsys.readouterr().err


@pytest.mark.parametrize("changes", [{"refused": ("layer 0",)}, {"experts": 4}])
def test_a_model_of_another_make_is_refused(changes):
    projection = SimpleNamespace(experts=changes.get("experts"))
    site = SimpleNamespace(input_projections=[projection])
    loaded = SimpleNamespace(name="other", sites=[site], refused=changes.get("refused", ()))
    with pytest.raises(BadInput, match="has layers that the other methods are not written for"):
        model_and_prompts._plainly_built(loaded)


def test_a_package_that_does_not_take_the_model_is_left_out_with_a_note():
    def prepare(_: model_and_prompts.BenchModel) -> methods.RunMethod:
        raise KeyError("no such block")

    result = race.race(SIZE, ignore_progress, (PACKED, Method("foreign", prepare, "json")))
    assert [row.method for row in result.rows] == ["packed"]
    assert result.notes == ("foreign: skipped, it does not take this model (KeyError: 'no such block')",)
    with pytest.raises(KeyError):
        race.race(SIZE, ignore_progress, (PACKED, Method("ours", prepare)))


def test_a_plain_pass_keeps_to_the_positions_that_there_are(monkeypatch):
    monkeypatch.setitem(model_shapes.RANDOM_LLAMA, "max_position_embeddings", 12)
    given = model_and_prompts.load_bench_model(SIZE)
    seen = []
    given.model.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape)))
    with torch.inference_mode():
        methods.plain_forward(given)(given.prompt(6, 2))
    assert seen == [(2, 10)]  # 6 + 7 * 2 tokens
