"""The benchmark on a tiny model: finite ratios, and no race against a wrong answer."""

import math
import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from icltui.api.progress import ignore_progress
from icltui.bench import decode, memory, methods, model_and_prompts, race
from icltui.bench.methods import Answer, Method
from icltui.bench.model_and_prompts import RaceSettings
from icltui.bench.race_table import race_table
from icltui.cli.main import main
from icltui.engine.patch.build import PatchSpec, build_patch
from icltui.engine.patch.decoding import acting
from icltui.values.errors import BadInput, EngineError

SIZE = RaceSettings(context_sizes=(6,), query_sizes=(2,), repeat=1, memory=False)
PACKED = methods.METHODS[0]
TINY = {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 3}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    for name, value in TINY.items():
        monkeypatch.setitem(model_and_prompts.RANDOM_LLAMA, name, value)


def changed(factor: float) -> Method:
    """Our method, with one number of one layer changed."""

    def prepare(given: model_and_prompts.BenchModel) -> methods.RunMethod:
        run = PACKED.prepare(given)

        def wrong(prompt: model_and_prompts.TokenPrompt) -> Answer:
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


def _hungry(_: model_and_prompts.BenchModel) -> methods.RunMethod:
    floats = 2**22  # 16 megabytes for each token: what the allocator hands back at once
    return lambda prompt: torch.ones(floats * prompt.n).sum().item() and None


def _peaks_of_the_hungry() -> dict[model_and_prompts.Size, int]:
    model_and_prompts.RANDOM_LLAMA.update(TINY)
    return memory._peaks(SIZE, Method("hungry", _hungry), [(4, 2), (8, 2)])


@pytest.mark.skipif(not memory._RESET.exists(), reason="this system does not tell")
def test_peak_is_what_the_run_takes_at_most():
    # In a process of its own, as in the benchmark: here the garbage of other tests would be freed in between.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        taken = fresh.submit(_peaks_of_the_hungry).result()
    assert [round(taken[n, 2] / (64 * 2**20)) for n in (4, 8)] == [1, 2]


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


def test_a_model_of_another_make_is_refused(monkeypatch):
    monkeypatch.setattr(
        model_and_prompts,
        "_random_llama",
        lambda _: SimpleNamespace(
            loaded=SimpleNamespace(
                model=SimpleNamespace(get_decoder=lambda: SimpleNamespace(layers=[object()]))
            ),
            info=SimpleNamespace(name="other", refused=()),
        ),
    )
    with pytest.raises(BadInput, match="not built as Llama is"):
        model_and_prompts.load_bench_model(SIZE)


def uncached(model, row: list[int], n: int, patch=None) -> tuple[int, ...]:
    """Greedy, the whole row each time."""
    row = list(row)
    for _ in range(n):
        with acting(patch):
            row.append(int(model(torch.tensor([row]), use_cache=False).logits[0, -1].argmax()))
    return tuple(row[-n:])


def test_what_is_decoded_is_what_greedy_decoding_without_a_cache_says(monkeypatch):
    monkeypatch.setattr(decode, "SIZE", (6, 16))
    settings = replace(SIZE, decode=3)
    decoding = decode.time_decoding(settings, ignore_progress)
    said = {line.method: line.tokens for line in decoding.lines}
    loaded = model_and_prompts.load_bench_model(settings).engine.loaded
    ids, context = decoding.ids, decode.CONTEXT
    with torch.inference_mode():
        assert said[context] == said["per step, two runs"] == uncached(loaded.model, ids.full, 4)
        assert said[decode.LOOP] == said[decode.PLAIN] == uncached(loaded.model, ids.plain, 4)
        for method, recipe in decode.RECIPES.items():
            patch = build_patch(PatchSpec(loaded, loaded.sites, ids, "reset", recipe), n_later=0).patch
            assert patch is None or said[method] == uncached(loaded.model, ids.plain, 4, patch)
    assert all(0 < line.milliseconds < math.inf and 0 < line.ratio < math.inf for line in decoding.lines)


def test_decoding_alone_prints_every_way(monkeypatch, capsys):
    monkeypatch.setattr(decode, "SIZE", (6, 16))
    assert main(["bench", "--only", "decode", "--decode", "2", "--repeat", "1"]) == 0
    out, _ = capsys.readouterr()
    assert "Times as long as packed" not in out
    for method in (decode.LOOP, decode.PLAIN, decode.CONTEXT, *decode.RECIPES):
        assert re.search(rf"^{re.escape(method)} +[\d.e-]+ +[\d.]+$", out, re.MULTILINE)
    assert f"{decode.PLAIN} " in out
    assert "1.000" in out


def test_more_tokens_than_positions_are_refused(monkeypatch):
    monkeypatch.setitem(model_and_prompts.RANDOM_LLAMA, "max_position_embeddings", 280)
    with pytest.raises(BadInput, match="give less --decode"):
        decode.time_decoding(replace(SIZE, decode=64), ignore_progress)
