"""Peak memory is measured in a process of its own."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest
import torch

from icltui.bench import memory, methods, model_and_prompts, model_shapes
from icltui.bench.methods import Method
from tests.bench.conftest import SIZE, TINY


def _hungry(_: model_and_prompts.BenchModel) -> methods.RunMethod:
    floats = 2**22  # 16 megabytes for each token: what the allocator hands back at once
    return lambda prompt: torch.ones(floats * prompt.n).sum().item() and None


def _peaks_of_the_hungry() -> dict[model_and_prompts.Size, int]:
    model_shapes.RANDOM_LLAMA.update(TINY)
    return memory._peaks(SIZE, Method("hungry", _hungry), [(4, 2), (8, 2)])


@pytest.mark.soak
@pytest.mark.skipif(not memory._RESET.exists(), reason="this system does not tell")
def test_peak_is_what_the_run_takes_at_most():
    # In a process of its own, as in the benchmark: here the garbage of other tests would be freed in between.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        taken = fresh.submit(_peaks_of_the_hungry).result()
    assert [round(taken[n, 2] / (64 * 2**20)) for n in (4, 8)] == [1, 2]
