"""All jobs of the engine, and their events without what depends on the machine: equal events are equal numbers."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors.torch import load_file

from icltui.api.messages import (
    CountTokens,
    EstimateModel,
    Export,
    Generate,
    GenerateEach,
    LoadModel,
    Measure,
    Progress,
    Request,
    Verify,
)
from icltui.engine.local import LocalEngine
from icltui.values.errors import IcltuiError
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe, Sampling
from tests.ghost.device import one_backward_thread

PROMPT = Prompt(context="ab cd ef gh", query=" ij")
KEPT = msgspec.structs.replace(PROMPT, positions="keep")
LINES = Prompt(context="ab\ncd\nef\n", query=" ij", unit="line")
COMPILED = Recipe(mode="compiled", n_fitted=2)
_MACHINE = re.compile(
    r'"(device|seconds|files|path_reason|measure_bytes|available_bytes)":("[^"]*"|\[[^\]]*\]|[-0-9.e+]+|null),?'
)


def job(request: Any, **changes: Any) -> Request:
    return msgspec.structs.replace(request, **changes)


def loading(load: LoadModel) -> dict[str, Request]:
    """The jobs that come before a model is there."""
    return {"estimate": EstimateModel(load=load), "load": load}


MEASURES: dict[str, Request] = {
    "count": CountTokens(prompt=PROMPT),
    "grow": Measure(prompt=PROMPT, pairs=True),
    "grow, local": Measure(prompt=PROMPT, reference="local"),
    "grow, keep": Measure(prompt=KEPT),
    "grow, local, keep": Measure(prompt=KEPT, reference="local"),
    "shrink": Measure(prompt=LINES, dynamics="shrink"),
    "shrink, local, keep": Measure(
        prompt=msgspec.structs.replace(LINES, positions="keep"), dynamics="shrink", reference="local"
    ),
    "drop": Measure(prompt=LINES, dynamics="drop"),
    "drop, local": Measure(prompt=LINES, dynamics="drop", reference="local"),
    "drop, local, keep": Measure(
        prompt=msgspec.structs.replace(PROMPT, positions="keep"), dynamics="drop", reference="local"
    ),
    "some layers": Measure(prompt=PROMPT, layers="last"),
    "float32": Measure(prompt=PROMPT, precision="float32"),
}
GENERATIONS: dict[str, Request] = {
    "per-step": Generate(prompt=PROMPT, n_tokens=3),
    "per-step, curves": Generate(prompt=PROMPT, n_tokens=2, curves=True, holdout=(" kl",)),
    "per-step, keep": Generate(prompt=KEPT, n_tokens=3, recipe=Recipe(alpha=0.5)),
    "per-step, sampled": Generate(
        prompt=PROMPT, n_tokens=3, sampling=Sampling(temperature=1.0, top_k=20, top_p=0.9)
    ),
    "frozen": Generate(prompt=PROMPT, n_tokens=3, recipe=Recipe(mode="frozen")),
    "frozen, constant": Generate(prompt=PROMPT, n_tokens=3, recipe=Recipe(mode="frozen", carrier="bias")),
    "frozen, ΔW alone": Generate(
        prompt=PROMPT, n_tokens=2, recipe=Recipe(mode="frozen", components="weights")
    ),
    "frozen, random": Generate(prompt=PROMPT, n_tokens=2, recipe=Recipe(mode="frozen", control="random")),
    "frozen, shuffled": Generate(prompt=PROMPT, n_tokens=2, recipe=Recipe(mode="frozen", control="shuffled")),
    "compiled": Generate(prompt=PROMPT, n_tokens=3, recipe=COMPILED, curves=True, holdout=(" kl",)),
    "compiled, rank 1, ridge": Generate(prompt=PROMPT, n_tokens=2, recipe=job(COMPILED, rank=1, ridge=0.1)),
    "compiled, α search": Generate(prompt=PROMPT, n_tokens=2, recipe=job(COMPILED, alpha="search")),
    "compiled, α jvp": Generate(prompt=PROMPT, n_tokens=2, recipe=job(COMPILED, alpha="jvp")),
    "compiled, two queries": GenerateEach(
        prompt=PROMPT,
        queries=(" ij", " kl m"),
        n_tokens=2,
        recipe=job(COMPILED, queries=(" ij", " kl m"), ridge=1e-3),
    ),
    "compiled, other context": Generate(
        prompt=PROMPT, n_tokens=2, recipe=job(COMPILED, control="other", other_context="no pq rs tu")
    ),
    "each": GenerateEach(prompt=PROMPT, queries=(" ij", " kl m"), n_tokens=2, lanes=("context", "plain")),
}
VERIFICATIONS: dict[str, Request] = {
    "verify": Verify(prompt=PROMPT),
    "verify, keep": Verify(prompt=KEPT, seed=1),
}


def exports(folder: Path) -> dict[str, Request]:
    """Every format, into ``folder``; PEFT last, after which an offloaded model is loaded anew."""
    frozen = Recipe(mode="frozen", carrier="bias")
    return {
        "control vector": Export(
            prompt=PROMPT, recipe=frozen, format="gguf-control-vector", path=str(folder / "vector.gguf")
        ),
        "factors": Export(
            prompt=PROMPT, recipe=COMPILED, format="factors", path=str(folder / "factors.safetensors")
        ),
        "peft": Export(prompt=PROMPT, recipe=COMPILED, format="peft", path=str(folder / "peft")),
    }


def quick(load: LoadModel, folder: Path) -> dict[str, Request]:
    """A job of each kind."""
    names = ("count", "grow", "drop", "drop, local, keep", "per-step", "compiled, α jvp", "verify")
    everything = MEASURES | GENERATIONS | VERIFICATIONS
    return (
        loading(load) | {name: everything[name] for name in names} | {"factors": exports(folder)["factors"]}
    )


def every(load: LoadModel, folder: Path) -> dict[str, Request]:
    """Every job; last the exports, after which an offloaded model is loaded anew."""
    return loading(load) | MEASURES | GENERATIONS | VERIFICATIONS | exports(folder)


def outcomes(requests: Mapping[str, Request], folder: Path) -> dict[str, Any]:
    """What each job gives on one engine, and every file that is in ``folder`` after them."""
    engine = LocalEngine()
    given: dict[str, Any] = {name: _outcome(engine, request) for name, request in requests.items()}
    return given | {
        str(path.relative_to(folder)): _content(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def _outcome(engine: LocalEngine, request: Request) -> list[str]:
    """The job's events as text, or the error that it ends with."""
    with torch.random.fork_rng(devices=[]), one_backward_thread():
        torch.manual_seed(0)
        try:
            events = [
                event for event in engine.run(request, lambda: False) if not isinstance(event, Progress)
            ]
        except (IcltuiError, RuntimeError, LookupError, TypeError, ValueError) as error:
            return [f"{type(error).__name__}: {error}"]
    return [_MACHINE.sub("", msgspec.json.encode(event).decode()) for event in events]


def _content(path: Path) -> Any:
    """A file's bytes; of safetensors the tensors' too, as the order of the facts above them is by chance."""
    if path.suffix != ".safetensors":
        return path.read_bytes()
    return {name: tensor.tolist() for name, tensor in load_file(path).items()}


def without_gradient(given: dict[str, Any]) -> dict[str, Any]:
    """The outcomes as of an offloaded model, through which no gradient goes."""
    return {
        name: [re.sub(r'"gradient_alignment":[^},]*', '"gradient_alignment":null', text) for text in value]
        if isinstance(value, list)
        else value
        for name, value in given.items()
    }
