"""Every job gives, on models that lie on ghost devices in every way, the numbers of the CPU, bit for bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from icltui.api.messages import Request
from tests.ghost.jobs import every, outcomes, quick, without_gradient
from tests.ghost.models import LAYOUTS, OFFLOADED, Layout, laid_out, request_for, save_tiny

Jobs = Callable[[Any, Path], dict[str, Request]]

FAMILIES = tuple(
    "llama gpt2 qwen3 gemma2 gemma3_text gpt_neox gptj falcon mixtral qwen3_moe olmoe gpt_oss deepseek_v3 bloom "
    "jamba recurrent_gemma qwen3_next falcon_h1".split()
)
"""Norms before and after, parallel blocks, Conv1D, sliding windows, experts, latent attention, ALiBi, recurrences."""
HALVES = ("llama", "gpt2", "gemma3_text", "gpt_neox", "mixtral")


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


@pytest.mark.parametrize(("family", "layout"), [("gpt2", "mixed"), ("mixtral", "spread")])
def test_a_job_of_each_kind(family, layout, tmp_path):
    check(family, (layout,), quick, tmp_path)


@pytest.mark.zoo
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_in_every_layout(family, layout, tmp_path):
    check(family, (layout,), every if layout == "spread" else quick, tmp_path)


@pytest.mark.zoo
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("family", HALVES)
def test_half_precision(family, layout, tmp_path):
    check(family, (layout,), quick, tmp_path, "bfloat16")
