"""What a model will take, against what it takes."""

import subprocess
import sys
from dataclasses import replace as replace_field

import pytest
import torch
from msgspec.structs import replace
from transformers import AutoConfig, AutoModelForCausalLM, GPT2Config, LlamaConfig

from icltui.api import messages
from icltui.api.messages import LoadModel, Measure
from icltui.engine.local import LocalEngine
from icltui.engine.measure.run_prefixes import measure_cost
from icltui.engine.models import memory_estimate
from icltui.engine.models.checkpoint import Checkpoint
from icltui.engine.models.loaded_model import wrap_model
from icltui.engine.models.memory_estimate import (
    MeasureCost,
    estimate_memory,
    measure_bytes,
    missing_bytes,
    shortage,
)
from icltui.engine.models.stored_tensors import StoredTensor, stored_tensors
from icltui.engine.prompts.tokenize import Ids
from icltui.values import Estimate
from icltui.values.prompt import Prompt
from icltui.worker.protocol import Happened, decode_server_message, encode
from tests.engine.live_tensors import LiveTensors
from tests.engine.small_models import make_tiny, make_tokenizer
from tests.waiting import PATIENCE


def source(folder) -> Checkpoint:
    return Checkpoint(str(folder), None, trusts_code=False)


def n_parameters(model) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("dtype", "n_bytes"),
    [("auto", 4), ("bfloat16", 2), ("float64", 8)],
)
def test_weights_count_in_the_dtype_asked(folder, model, dtype, n_bytes):
    config = AutoConfig.from_pretrained(folder)
    request = LoadModel(dtype=dtype)
    got = estimate_memory(stored_tensors(source(folder)), config, request, getattr(torch, dtype, "auto"), 7)
    assert (got.n_parameters, got.available_bytes) == (n_parameters(model), 7)
    assert got.weight_bytes == n_bytes * n_parameters(model)


@pytest.mark.parametrize(("quantize", "n_bytes"), [("8bit", 1.0), ("4bit", 0.5)])
def test_quantized_matrices_take_less(folder, model, quantize, n_bytes):
    vectors = sum(p.numel() for p in model.parameters() if p.ndim < 2)
    got = estimate_memory(
        stored_tensors(source(folder)), model.config, LoadModel(quantize=quantize), torch.float16, 0
    )
    assert got.weight_bytes == n_bytes * (n_parameters(model) - vectors) + 2 * vectors


def test_a_checkpoint_that_is_quantized_counts_as_it_is():
    config = LlamaConfig(quantization_config={"quant_method": "fp8"})
    stored = {
        "w": StoredTensor((10, 10), "F8_E4M3"),
        "scale": StoredTensor((10,), "F32"),
        "packed": StoredTensor((10,), "I32"),
    }
    assert estimate_memory(stored, config, LoadModel(), torch.bfloat16, 0).weight_bytes == 100 + 40 + 40


def test_the_cache_is_what_a_cache_takes():
    """Keys and values of every layer; the rest by the formula at the top of the module."""
    config = LlamaConfig(
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=6,
        intermediate_size=40,
        vocab_size=300,
        max_position_embeddings=64,
    )
    model = make_tiny("llama", torch.float32).model
    with torch.inference_mode():
        cache = model(torch.zeros(1, 64, dtype=torch.long), use_cache=True).past_key_values
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    context = 4 * 64 * (2 * 2 * 6 + 2 * 40 + 4 * 24) + 5 * 64**2
    token = 4 * (20 * 24 + 3 * 80 + 2 * 2 * 2 * 6) + 16 * (64 + 256)
    copy = 4 * (3 * 300 + 3 * 80 + 6 * 80 + 8 * 24 * 3)
    full = 4 * (4 * 300 + 3 * 80 + 4 * 24 * 3)
    assert measure_bytes(config, 4) == 5 * (held + context + 256 * (token + copy) + full + 1536 * 3 * 64) // 4
    longer = LlamaConfig(**config.to_dict() | {"max_position_embeddings": 10**6})
    longest = LlamaConfig(**config.to_dict() | {"max_position_embeddings": 4096})
    assert measure_bytes(longer, 4) == measure_bytes(longest, 4)


def test_a_config_that_leaves_things_out_is_estimated_all_the_same():
    assert measure_bytes(GPT2Config(), 4) > 2 * 12 * 12 * 64 * 1024 * 4


@pytest.mark.parametrize("size", [10**9, 10**40, -1, -(10**40)])
def test_whatever_a_config_claims_can_be_told(size):
    """The estimate is a message, and a number beyond what one may hold would end the engine that sends it."""
    config = LlamaConfig(hidden_size=64, num_attention_heads=1)
    config.intermediate_size = config.num_hidden_layers = config.vocab_size = size
    stored = {"w": StoredTensor((10**9, 10**9, 10**9), "F32")}
    told = messages.ModelEstimated(
        estimate=estimate_memory(stored, config, LoadModel(), torch.float32, 10**9)
    )
    assert decode_server_message(encode(Happened(1, told))) == Happened(1, told)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_measure_costs_what_was_told(dtype, monkeypatch):
    """A gated MLP of the configuration is as wide as the one that is measured."""
    loaded = make_tiny("llama", dtype)
    ids = Ids((), (0,) * 63, (0,), tuple(range(64)))
    told = []
    monkeypatch.setattr(MeasureCost, "tokens_in_chunk", lambda cost, _: told.append(cost) or 1)
    measure_bytes(loaded.model.config, dtype.itemsize)
    assert told == [measure_cost(loaded, loaded.sites, ids)]


def test_a_chunk_is_bounded_by_what_is_fast_and_by_what_is_free():
    cost = MeasureCost(4, 64, 256, 2048, 262_144, 8, 64, 8, n_tokens=1000)
    assert cost.tokens_in_chunk() == cost.tokens_in_chunk(10**12) < memory_estimate.CHUNK_TOKENS
    assert cost.chunk(cost.tokens_in_chunk()) <= memory_estimate.CHUNK_BYTES
    for free in (2**28, 2**27, 2**26):
        n = cost.tokens_in_chunk(free)
        assert cost.chunk(n) <= free / 2 < cost.chunk(n + 1) + cost.context
    assert cost.tokens_in_chunk(0) == cost.tokens_in_chunk(-(10**9)) == 1, "one copy is always tried"
    on_gpu = replace_field(cost, on_cpu=False)
    assert on_gpu.tokens_in_chunk(10**12) == memory_estimate.GPU_CHUNK_TOKENS
    assert on_gpu.chunk(on_gpu.tokens_in_chunk(2**30)) <= 2**29
    assert replace_field(cost, n_query=7).tokens_in_chunk(0) == 7


def test_a_model_whose_smallest_chunk_fits_is_no_shortage():
    """Beside the weights there is room for a few copies of a large vocabulary, and not for a whole chunk."""
    config = LlamaConfig(vocab_size=262_144, hidden_size=64, intermediate_size=128, num_attention_heads=4,
                         num_hidden_layers=2, max_position_embeddings=256)  # fmt: skip
    stored = {"w": StoredTensor((262_144, 64), "F32")}
    weights = 4 * 64 * 262_144

    def missing(free):
        return missing_bytes(estimate_memory(stored, config, LoadModel(), torch.float32, weights + free))

    assert missing(2**25) <= 0
    assert missing(2**22) > 0
    assert measure_bytes(config, 4) > 2**28


PEAKS = {
    "262,144 words": LlamaConfig(vocab_size=262_144, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                                 num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512),
    "many layers": LlamaConfig(vocab_size=300, hidden_size=64, intermediate_size=172, num_hidden_layers=8,
                        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=512),
    "GPT-2": GPT2Config(vocab_size=3000, n_embd=64, n_layer=4, n_head=4, n_positions=512),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("n", "q"), [(120, 1), (40, 6)])
@pytest.mark.parametrize("config", PEAKS.values(), ids=PEAKS)
@pytest.mark.soak
def test_the_tensors_of_a_measure_are_those_that_its_chunk_was_chosen_by(config, n, q, dtype, monkeypatch):
    """What lives at once, of all that torch allocates: no more than the formula says, and no less than half of it."""
    torch.manual_seed(0)
    monkeypatch.setattr(memory_estimate, "CHUNK_TOKENS", 90)
    loaded = wrap_model(AutoModelForCausalLM.from_config(config, dtype=dtype), make_tokenizer(), "m")
    engine = LocalEngine(loaded, loaded.describe("packed"))
    costs = []
    honest = MeasureCost.tokens_in_chunk
    monkeypatch.setattr(
        MeasureCost, "tokens_in_chunk", lambda cost, free: costs.append(cost) or honest(cost, free)
    )
    with LiveTensors() as live:
        for _ in engine.run(Measure(prompt=Prompt(context="a" * n, query="b" * q)), lambda: False):
            pass
    n_copies = -(-(n + 1) // -(-(n + 1) // (honest(costs[0]) // q)))  # of chunks of equal length
    told = costs[0].context + costs[0].chunk(n_copies * q)
    assert 0.45 < live.peak / told <= 1, (live.peak, told)


CASES = [
    (
        200,
        "LlamaConfig(vocab_size=300, hidden_size=256, intermediate_size=688, num_hidden_layers=8,"
        " num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=256)",
    ),
    (1000, "GPT2Config(vocab_size=30_000, n_embd=32, n_inner=128, n_layer=4, n_head=4, n_positions=1024)"),
]
MEASURE = f"""
import gc, os, warnings
import torch, transformers
from icltui.api.messages import Measure
from icltui.engine.models.memory_estimate import measure_bytes
from icltui.engine.local import LocalEngine
from icltui.engine.models.loaded_model import wrap_model
from icltui.values.prompt import Prompt
from tests.engine.small_models import make_tokenizer

warnings.simplefilter("ignore")
transformers.utils.logging.set_verbosity_error()

def status(word):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(word))

def share(n, config):
    torch.manual_seed(0)
    config = eval("transformers." + config)
    loaded = wrap_model(transformers.AutoModelForCausalLM.from_config(config), make_tokenizer(), "m")
    engine = LocalEngine(loaded, loaded.describe("packed"))
    gc.collect()
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")
    before = status("VmRSS")
    kept = list(engine.run(Measure(prompt=Prompt(context="a" * n, query="b")), lambda: False))
    return measure_bytes(config, 4) / (status("VmHWM") - before)

for case in {CASES!r}:
    if not os.fork():  # each in a process without the garbage of the other
        print(share(*case), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.mark.soak
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_measure_takes_no_more_than_was_told():
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    shares = [float(line) for line in done.stdout.splitlines()]
    assert len(shares) == len(CASES), done.stderr
    assert all(0.9 < share < 4 for share in shares), shares


GIB = 2**30


def sized(weights, free=2 * GIB):
    """A model of so many bytes at the dtype that its file has, and what it takes in other ways."""

    def size_of(request):
        share = {"bfloat16": 1 / 2}.get(request.dtype, 1) * {"4bit": 1 / 8}.get(request.quantize, 1)
        there = 4 * free if request.device_map == "auto" else free
        return Estimate(
            n_parameters=1,
            weight_bytes=int(weights * share),
            measure_bytes=GIB // 4,
            available_bytes=there,
        )

    return size_of


def test_what_cannot_fit_is_refused_with_the_ways_out_that_would_do():
    request = LoadModel(model="big")

    def advice(weights, request=request):
        return shortage(request, sized(weights))

    assert advice(3 * GIB) == (
        "model 'big' needs 3.49 GB (3.22 GB of weights, 268 MB for a measure), and 2.15 GB are free: "
        "try --dtype bfloat16, --quantize 4bit, --device-map auto, or a smaller model"
    )
    assert advice(7 * GIB).endswith("free: try --quantize 4bit, --device-map auto, or a smaller model")
    assert advice(12 * GIB).endswith("free: try --quantize 4bit, or a smaller model")
    assert advice(100 * GIB).endswith("free: try a smaller model")
    assert advice(24 * GIB, replace(request, quantize="4bit")).endswith(
        "free: try --dtype bfloat16, --device-map auto, or a smaller model"
    )
    assert shortage(request, sized(2 * GIB - GIB // 4)) == ""
    assert "needs 269 MB (1.05 MB of weights" in (small := shortage(request, sized(2**20, free=2**21)))
    assert "2.1 MB are free" in small
