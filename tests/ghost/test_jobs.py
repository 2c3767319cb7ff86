"""Every job gives, on models that lie on ghost devices in every way, the numbers of the CPU, bit for bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from icltui.api.messages import LoadModel, Request
from icltui.engine.local import LocalEngine
from tests.ghost.jobs import GENERATIONS, MEASURES, every, exports, outcomes, quick, without_gradient
from tests.ghost.models import OFFLOADED, Layout, laid_out, request_for, save_tiny

Jobs = Callable[[Any, Path], dict[str, Request]]

FAMILIES = ("opt", "gemma3_text", "deepseek_v3", "recurrent_gemma", "bloom")
"""Norms before and after, sliding windows, experts, latent attention, ALiBi, a recurrence."""


def run(family: str, layout: Layout, jobs: Jobs, folder: Path, dtype: str = "float32") -> dict[str, Any]:
    """What the jobs give on the family in the layout, its files among them."""
    (out := folder / layout).mkdir()
    with laid_out(family, layout):
        return outcomes(jobs(request_for(family, folder / "model", layout, dtype), out), out)


def check(family: str, layouts: tuple[Layout, ...], jobs: Jobs, folder: Path, dtype: str = "float32") -> None:
    save_tiny(family, folder / "model", getattr(torch, dtype))
    wanted = run(family, "cpu", jobs, folder, dtype)
    for layout in layouts:
        got = run(family, layout, jobs, folder, dtype)
        expected = without_gradient(wanted) if layout in OFFLOADED else wanted
        unlike = [name for name in expected if got.get(name) != expected[name]]
        assert not unlike, (layout, unlike, got.get(unlike[0]), expected[unlike[0]])
        assert got.keys() == expected.keys()


def few(load: LoadModel, _folder: Path) -> dict[str, Request]:
    """The jobs that need a hook at each place of a block."""
    return {"load": load, "grow": MEASURES["grow"], "compiled": GENERATIONS["compiled, rank 1, ridge"]}


@pytest.mark.parametrize(
    ("family", "layout", "jobs"),
    [
        ("gpt2", "mixed", quick),
        pytest.param("mixtral", "spread", quick, marks=pytest.mark.zoo),
        pytest.param("gpt_neox", "mixed", few, marks=pytest.mark.zoo),
    ],
)
def test_jobs_of_each_kind(family, layout, jobs, tmp_path):
    """GPT-NeoX has parallel blocks, and biases that are offloaded with their weights."""
    check(family, (layout,), jobs, tmp_path)


@pytest.mark.zoo
def test_an_offloaded_model_is_where_it_was_after_an_export(tmp_path):
    """PEFT takes an offloaded model's hooks off, and lays it out its own way."""
    load = request_for("llama", save_tiny("llama", tmp_path / "model"), "offload")
    engine = LocalEngine()

    def devices(request: Request) -> dict[str, Any]:
        for _ in engine.run(request, lambda: False):
            pass
        return {
            name: module._hf_hook.execution_device
            for name, module in engine._model().model.named_modules()
            if hasattr(module, "_hf_hook")
        }

    with laid_out("llama", "offload"):
        before = devices(load)
        assert before
        for _ in engine.run(exports(tmp_path)["peft"], lambda: False):
            pass
        assert devices(MEASURES["some layers"]) == before


@pytest.mark.zoo
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family, tmp_path):
    """On both devices and offloaded, which are all layouts in one."""
    check(family, ("mixed",), quick, tmp_path)


@pytest.mark.zoo
@pytest.mark.parametrize("layout", ["one", "second", "offload"])
def test_every_layout(layout, tmp_path):
    check("qwen3", (layout,), few, tmp_path)


@pytest.mark.zoo
def test_every_job(tmp_path):
    """In half precision, with its rounding measured, and computing in float32."""
    check("llama", ("spread",), every, tmp_path, "bfloat16")


@pytest.mark.zoo
def test_experts_are_exported(tmp_path):
    check("gpt_oss", ("mixed",), lambda load, folder: {"load": load} | exports(folder), tmp_path)
