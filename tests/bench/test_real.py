"""The costs on shapes of real models, tried on a tiny one."""

import math
import re

import pytest

from icltui.bench import decode, jobs, model_shapes
from icltui.bench.model_and_prompts import RaceSettings, load_bench_model
from icltui.cli.main import main
from icltui.values.errors import BadInput

PARAMETERS = {"GPT-2 124M": 124_439_808, "SmolLM2-135M": 134_515_008, "Qwen3-0.6B": 596_049_920}


def test_command_prints_a_ratio_for_every_cost(monkeypatch, capsys):
    monkeypatch.setattr(decode, "SIZE", (6, 16))
    monkeypatch.setattr(jobs, "N_TOKENS", 2)
    monkeypatch.setenv("COLUMNS", "120")
    words = "--only real --shape llama, -n 6 -q 2 --repeat 1 --decode 1 --no-memory"
    assert main(["bench", *words.split()]) == 0
    out, err = capsys.readouterr()
    assert "random Llama, 6 layers, width 384: verify" in err
    ratios, seconds = out.split("Seconds of the first part")
    names = (
        "packed / plain forward of as many tokens",
        "packed / the same with n + 1 logits",
        "first rows / all rows",
        "one forward per prefix, hooks, sampled / packed",
        "a token, no patch / bare loop",
        "a token, compiled, rank 8 / bare loop",
        "a token, per step, two runs / bare loop",
        "proof at load / one forward of its tokens",
        "verify / the passes it needs",
        "generate per step, whole job / 2 bare loops",
        "α change, per step, to the first new token / 3 bare prefills",
        "α change, compiled, to the whole text / 3 bare loops",
    )
    for part in (ratios, seconds):
        for name in names:
            found = re.search(rf"^{re.escape(name)} +([\d.e+-]+)", part, re.MULTILINE)
            assert found, name
            assert 0 < float(found[1]) < math.inf


@pytest.mark.parametrize("name", model_shapes.REAL)
def test_shape_is_that_of_the_model(name):
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(model_shapes.SHAPES[name]())
    assert model.num_parameters() == PARAMETERS[name]


def test_part_of_a_shapes_name_will_do_if_it_is_of_one_alone():
    assert model_shapes.full_name("qwen") == "Qwen3-0.6B"
    for wrong in ("nothing", "m"):
        with pytest.raises(BadInput, match="names no shape or several of them: use one of GPT-2 124M, Smol"):
            model_shapes.full_name(wrong)


@pytest.mark.parametrize("dtype", ["auto", "int8", "tensor"])
def test_random_weights_need_a_dtype(dtype):
    with pytest.raises(BadInput, match="use float32 or bfloat16"):
        load_bench_model(RaceSettings(dtype=dtype))
