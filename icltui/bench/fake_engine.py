"""An engine that streams made-up measures at a given rate, in the protocol of the real one.

It is run by ``--engine``: ``python -m icltui.bench.fake_engine --layers 24 --rate 50 --at-once 500``. A unit is a word
of the context. Numbers scatter as measured ones do, which is the worst case for painting.
"""

import argparse
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from icltui.api.messages import (
    CountTokens,
    Event,
    Generate,
    GenerationEnded,
    LoadModel,
    Measure,
    MeasureEnded,
    ModelLoaded,
    PromptTokenized,
    Request,
    UnitsMeasured,
)
from icltui.values import (
    Candidate,
    Generation,
    ModelInfo,
    Prediction,
    Row,
    Token,
    TokenizedPrompt,
    Unit,
)
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt

CHUNK = 16
"""Units per event while they come at once."""


def words_of(text: str) -> tuple[Token, ...]:
    """A token for each word."""
    return tuple(Token(id=at, text=f" {word}") for at, word in enumerate(text.split()))


def tokenized(prompt: Prompt) -> TokenizedPrompt:
    """The prompt, a unit for each word of its context."""
    context = words_of(prompt.context)
    units = tuple(Unit(index=at, text=token.text, tokens=1) for at, token in enumerate(context, 1))
    return TokenizedPrompt(prefix=(), context=context, query=words_of(prompt.query), units=units)


@dataclass
class FakeEngine:
    """Streams ``rate`` units per second of ``n_layers`` layers, the first ``n_at_once`` as fast as it can."""

    n_layers: int
    rate: float
    n_at_once: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(0)

    def run(self, request: Request, should_stop: Callable[[], bool]) -> Iterator[Event]:
        """Answer a load, a count, a measure or a generation; refuse other requests."""
        match request:
            case LoadModel():
                yield ModelLoaded(model=self._model())
            case CountTokens(prompt=prompt):
                yield PromptTokenized(tokens=tokenized(prompt))
            case Measure(prompt=prompt):
                yield from self._measure(tokenized(prompt), should_stop)
            case Generate(recipe=recipe):
                layers = tuple(range(self.n_layers))
                yield GenerationEnded(
                    generation=Generation(lanes={}, agreement={}, fit={}, recipe=recipe, layers=layers)
                )
            case _:
                raise BadInput("this engine only makes up measures: ask a real one")

    def _model(self) -> ModelInfo:
        return ModelInfo(
            name="made up",
            revision=None,
            fingerprint="0" * 16,
            architecture="LlamaForCausalLM",
            n_layers=self.n_layers,
            hidden_size=1024,
            n_parameters=10**9,
            dtype="float32",
            device="cpu",
            window=4096,
            path="packed",
            versions={},
        )

    def _measure(self, tokens: TokenizedPrompt, should_stop: Callable[[], bool]) -> Iterator[Event]:
        began = time.monotonic()
        yield PromptTokenized(tokens=tokens)
        n_units = len(tokens.units) + 1
        for first in range(0, min(self.n_at_once, n_units), CHUNK):
            yield self._chunk(range(first, min(first + CHUNK, self.n_at_once, n_units)), tokens)
        start = time.monotonic()
        for unit in range(self.n_at_once, n_units):
            if should_stop():
                return
            time.sleep(max(0.0, start + (unit - self.n_at_once) / self.rate - time.monotonic()))
            yield self._chunk(range(unit, unit + 1), tokens)
        layers = tuple(range(self.n_layers))
        yield MeasureEnded(layers=layers, path="packed", seconds=time.monotonic() - began)

    def _chunk(self, units: range, tokens: TokenizedPrompt) -> UnitsMeasured:
        return UnitsMeasured(
            rows=tuple(self._row(unit, layer) for unit in units for layer in range(self.n_layers)),
            predictions=tuple(self._prediction(unit, tokens) for unit in units),
        )

    def _row(self, unit: int, layer: int) -> Row:
        z = 8.0 + layer * self._chance.lognormvariate(0, 0.1)
        if unit == 0:
            return Row(unit=0, layer=layer, z_norm=z, learning_rate=1 / z**2, net_patch_norm=0.0)
        delta = (0.3 + layer / 8) * self._chance.lognormvariate(0, 0.6)
        cosine = self._chance.uniform(-1, 1)
        return Row(
            unit=unit,
            layer=layer,
            z_norm=z,
            learning_rate=1 / z**2,
            net_patch_norm=math.sqrt(unit) * delta,
            delta_norm=delta,
            shift_norm=delta * 1.4,
            patch_norm=delta * 0.21,
            relative_patch_norm=delta * 0.021,
            cumulative_patch_norm=unit * (1 + layer / 4),
            cosine_previous=cosine if unit > 1 else None,
            output_patch_norm=delta * 0.12,
            amplification=0.7 + delta / 10,
            implicit_loss=cosine * delta,
            half_step_square=delta**2 / 2,
            update_cosine_previous=cosine / 2 if unit > 1 else None,
            transfer_previous=0.8 + cosine / 5 if unit > 1 else None,
            matrix_norms={"gate_proj": delta * 0.15, "up_proj": delta * 0.147},
        )

    def _prediction(self, unit: int, tokens: TokenizedPrompt) -> Prediction:
        found = self._chance.choices(tokens.context or tokens.query, k=5)
        p = self._chance.uniform(0.3, 0.9)
        top = tuple(Candidate(token=token, probability=p / 2**at) for at, token in enumerate(found))
        return Prediction(unit=unit, top=top, entropy=2 * (1 - p), kl_to_full=self._chance.expovariate(1))


def main() -> None:
    """Serve on stdin and stdout, as ``icltui engine`` does."""
    from icltui.worker import server

    parser = argparse.ArgumentParser(prog="python -m icltui.bench.fake_engine")
    parser.add_argument("--layers", type=int, default=24, help="of the model (default 24)")
    parser.add_argument("--rate", type=float, default=50, help="units a second (default 50)")
    parser.add_argument("--at-once", type=int, default=0, help="units that come at once (default 0)")
    args = parser.parse_args()
    server.main(lambda: FakeEngine(args.layers, args.rate, args.at_once))


if __name__ == "__main__":
    main()
