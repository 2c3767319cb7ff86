"""Scores the embedded model on prompts whose seeds no training document had.

A model folder enters; an :class:`Evaluation` leaves, saved beside the weights with their hash, so that a test can tell
whether the shipped weights are those that were scored. An answer is right only if greedy decoding gives all of it and
then ends it.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from icltui.demo import task_families
from icltui.demo.task_families import Problem

N_PROMPTS = 400
BATCH = 50
CASES: dict[str, tuple[Callable[[random.Random], task_families.Task], str]] = {
    "nonce recall, 8 pairs": (partial(task_families.nonce_recall, n=8), "answer"),
    "word recall, 8 pairs": (partial(task_families.word_recall, n=8), "answer"),
    "entity stories, 5 people": (partial(task_families.story, n=5), "answer"),
    "contradicted facts, 5 facts": (partial(task_families.contradicted_facts, n=5), "prior"),
    "linear functions, 8 examples": (partial(task_families.linear_function, n=8), "answer"),
    "months with a shift, 6 examples": (partial(task_families.months, n=6), "answer"),
    "repeating patterns, 4 rounds": (partial(task_families.pattern, n=4), "answer"),
    "labels for words, 10 examples": (partial(task_families.labels, n=10), "answer"),
    "word functions, 6 examples": (partial(task_families.word_function, n=6), "answer"),
}
"""Row of the table → (family, whether the query alone should give the ``answer`` or the weights' ``prior``)."""


class CaseScore(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table; shares of prompts in [0, 1]."""

    case: str
    with_context: float
    """Right answers to the query after the context."""
    without: float
    """Right answers to the query alone: chance for what only the context tells."""
    true_without: float | None = None
    """Answers to the query alone that agree with what the weights know; for contradicted facts."""


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The scores of one set of weights."""

    weights_sha256: str
    n_prompts: int
    seed: int
    scores: tuple[CaseScore, ...]
    loss_first_tenth: float
    """Mean loss per token in nats over the first tenth of long documents."""
    loss_last_tenth: float


def hash_weights(folder: Path) -> str:
    """SHA-256 of ``model.safetensors``."""
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def make_problems(case: str, seed: int, n: int) -> list[Problem]:
    """``n`` fresh prompts of a case."""
    family, _ = CASES[case]
    rng = random.Random(f"evaluate/{seed}/{case}")
    return [family(rng).problem(rng) for _ in range(n)]


def accuracy(model: Any, tokenizer: Any, prompts: Sequence[str], endings: Sequence[str]) -> float:
    """Share of prompts whose greedy continuation begins with their ending, all of its tokens."""
    right = 0
    for at in range(0, len(prompts), BATCH):
        batch = slice(at, at + BATCH)
        right += sum(are_continued(model, tokenizer, prompts[batch], endings[batch]))
    return right / len(prompts)


@torch.inference_mode()
def are_continued(model: Any, tokenizer: Any, prompts: Sequence[str], endings: Sequence[str]) -> list[bool]:
    """Whether greedy decoding of each prompt gives its ending: every token of it is the most probable one.

    Rows are padded on the right, which causal attention cannot see.
    """
    texts = [prompt + ending for prompt, ending in zip(prompts, endings, strict=True)]
    encoded = tokenizer(
        texts, return_offsets_mapping=True, return_tensors="pt", padding=True, padding_side="right"
    )
    ids, lengths = encoded["input_ids"], encoded["attention_mask"].sum(1).tolist()
    predicted = model(ids, use_cache=False).logits[:, :-1].argmax(-1)
    verdicts = []
    for k, prompt in enumerate(prompts):
        spans = encoded["offset_mapping"][k].tolist()
        begin = next(i for i, (_, end) in enumerate(spans) if end > len(prompt))
        verdicts.append(
            bool(torch.equal(predicted[k, begin - 1 : lengths[k] - 1], ids[k, begin : lengths[k]]))
        )
    return verdicts


def score_case(model: Any, tokenizer: Any, case: str, seed: int, n: int) -> CaseScore:
    """One row: with the context, and the query alone."""
    fresh = make_problems(case, seed, n)
    endings = [p.answer + p.terminator for p in fresh]
    alone = [p.prompt for p in fresh]
    right = partial(accuracy, model, tokenizer)
    # Alone, the model may end its answer as it likes: only the answer itself counts.
    without = right(alone, [p.answer for p in fresh])
    knows = CASES[case][1] == "prior"
    return CaseScore(
        case=case,
        with_context=right([p.context + p.prompt for p in fresh], endings),
        without=without,
        true_without=right(alone, [p.prior or p.answer for p in fresh]) if knows else None,
    )


@torch.inference_mode()
def losses_along(
    model: Any, tokenizer: Any, seed: int, n: int = 60, length: int = 400
) -> tuple[float, float]:
    """Mean loss in nats over the first and the last tenth of recall documents of ``length`` tokens."""
    rng = random.Random(f"evaluate/{seed}/long")
    losses = []
    for _ in range(n):
        text = task_families.nonce_recall(rng, n=12).document(rng, 80)
        ids = tokenizer(text, return_tensors="pt")["input_ids"][:, : length + 1]
        losses.append(
            torch.nn.functional.cross_entropy(model(ids).logits[0, :-1], ids[0, 1:], reduction="none")
        )
    mean = torch.stack([loss[:length] for loss in losses if len(loss) >= length]).mean(0)
    tenth = length // 10
    return float(mean[:tenth].mean()), float(mean[-tenth:].mean())


def evaluate(folder: Path, seed: int = 1, n: int = N_PROMPTS) -> Evaluation:
    """Score the model in ``folder``."""
    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    first, last = losses_along(model, tokenizer, seed)
    return Evaluation(
        weights_sha256=hash_weights(folder),
        n_prompts=n,
        seed=seed,
        scores=tuple(score_case(model, tokenizer, case, seed, n) for case in CASES),
        loss_first_tenth=first,
        loss_last_tenth=last,
    )


def evaluation_markdown(evaluation: Evaluation) -> str:
    """The evaluation as a Markdown table."""
    lines = ["| task | right with context | right without | true without |", "|---|---|---|---|"]
    for row in evaluation.scores:
        true = "" if row.true_without is None else f"{row.true_without:.3f}"
        lines.append(f"| {row.case} | {row.with_context:.3f} | {row.without:.3f} | {true} |")
    first, last = evaluation.loss_first_tenth, evaluation.loss_last_tenth
    lines.append(
        f"\nLoss on long recall documents: {first:.2f} nats in the first tenth, {last:.2f} in the last "
        f"(falls by {first - last:.2f}); {evaluation.n_prompts} prompts per row."
    )
    return "\n".join(lines)


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Save the evaluation beside the weights."""
    data = msgspec.json.format(msgspec.json.encode(evaluation), indent=1)
    (folder / "evaluation.json").write_bytes(data + b"\n")
