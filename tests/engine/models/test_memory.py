"""Two hundred measures in one process: memory stays flat, and no hook and no tensor is left behind."""

import subprocess
import sys

import pytest

from tests.waiting import PATIENCE

MEASURES = """
import gc, os, warnings
import torch
from icltui.api.messages import Measure
from icltui.engine.local import LocalEngine
from icltui.values.prompt import Prompt
from tests.engine.small_models import make_tiny

warnings.simplefilter("ignore")

def resident():
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def tensors():
    return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())

def hooks(model):
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_forward_hooks_with_kwargs")
    return sum(len(getattr(module, kind)) for module in model.modules() for kind in kinds)

loaded = make_tiny("llama", torch.float32)
engine = LocalEngine(loaded, loaded.describe("packed"))

def measure(times):
    for k in range(times):
        context = "the cat sat on the mat"[k % 7 :]
        for event in engine.run(Measure(prompt=Prompt(context=context, query=" dog")), lambda: False):
            pass

hooked = hooks(loaded.model)
measure(50)
memory, alive = resident(), tensors()
measure(200)
print(resident() / memory, tensors() - alive, hooked, hooks(loaded.model))
"""


@pytest.mark.soak
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_two_hundred_measures_leave_nothing_behind():
    done = subprocess.run(
        [sys.executable, "-c", MEASURES], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    growth, more_tensors, hooked_before, hooked_after = map(float, done.stdout.split())
    assert growth < 1.05
    assert more_tensors == 0
    assert hooked_before == hooked_after == 0
