"""The embedded model: the weights that ship are those that were scored, and they do what the table says."""

from itertools import pairwise

import msgspec
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from icltui.demo import evaluate
from icltui.demo import train as training
from icltui.demo.train import STAGES, TOKENS_PER_STEP, checkpoint_steps, row_length, save_checkpoint, train
from icltui.engine.models.fingerprint import fingerprint
from icltui.storage.paths import EXAMPLES, MODEL_DIR, example_sessions
from icltui.storage.sessions import read_session
from icltui.values.errors import BadInput


def shipped_evaluation() -> evaluate.Evaluation:
    return msgspec.json.decode((MODEL_DIR / "evaluation.json").read_bytes(), type=evaluate.Evaluation)


@pytest.fixture(scope="module")
def demo():
    return AutoModelForCausalLM.from_pretrained(MODEL_DIR).eval(), AutoTokenizer.from_pretrained(MODEL_DIR)


@pytest.fixture(scope="module")
def scores():
    return {score.case: score for score in shipped_evaluation().scores}


def test_the_shipped_weights_are_those_evaluated():
    assert shipped_evaluation().weights_sha256 == evaluate.hash_weights(MODEL_DIR)


def test_the_folder_is_small_and_ordinary():
    assert sum(file.stat().st_size for file in MODEL_DIR.iterdir()) < 8_000_000
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        file.name for file in MODEL_DIR.iterdir()
    }


def test_it_is_qwen3_in_float32(demo):
    model, _ = demo
    assert model.config.model_type == "qwen3"
    assert model.dtype == torch.float32


@pytest.mark.parametrize(
    ("case", "least"),
    [
        ("nonce recall, 8 pairs", 0.97),
        ("contradicted facts, 5 facts", 0.97),
        ("entity stories, 5 people", 0.97),
        ("linear functions, 8 examples", 0.85),
    ],
)
def test_the_table_holds_what_is_promised(scores, case, least):
    assert scores[case].with_context >= least


def test_without_the_context_it_cannot_know(scores):
    assert scores["nonce recall, 8 pairs"].without <= 0.02
    assert scores["contradicted facts, 5 facts"].without <= 0.02
    assert scores["contradicted facts, 5 facts"].true_without >= 0.97


def test_loss_falls_along_long_documents():
    evaluation = shipped_evaluation()
    assert evaluation.loss_first_tenth - evaluation.loss_last_tenth >= 0.5


@pytest.mark.parametrize("case", evaluate.CASES)
def test_a_fresh_sample_agrees_with_the_table(demo, scores, case):
    """Other prompts than the table's; the margin is four standard errors of 40 of them, at least 0.1."""
    n = 40
    fresh = evaluate.score_case(*demo, case, seed=2, n=n)
    p = scores[case].with_context
    assert abs(fresh.with_context - p) <= max(0.1, 4 * (p * (1 - p) / n) ** 0.5)


def test_continues_wants_every_token(demo):
    model, tokenizer = demo
    context = "dax -> wug\nfep -> zib\ntoma -> blick\ndax ->"
    endings = [" wug\n", " wugs\n", " zib\n", " wug"]
    verdicts = evaluate.are_continued(model, tokenizer, [context] * 4, endings)
    assert verdicts == [True, False, False, True]


def test_the_verdict_is_what_greedy_decoding_would_say(demo):
    """Against generation one token at a time, prompt by prompt, without padding."""
    model, tokenizer = demo
    some = evaluate.make_problems("months with a shift, 6 examples", 5, 12)
    prompts, endings = [p.context + p.prompt for p in some], [p.answer + p.terminator for p in some]
    greedy = []
    for prompt, ending in zip(prompts, endings, strict=True):
        ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
        out = model.generate(ids, max_new_tokens=8, do_sample=False)
        greedy.append(tokenizer.decode(out[0, ids.shape[1] :]).startswith(ending))
    assert evaluate.are_continued(model, tokenizer, prompts, endings) == greedy
    assert len(set(greedy)) == 2, "both verdicts must occur, or nothing was compared"


@pytest.mark.soak
def test_training_is_a_function_of_its_seed(tmp_path):
    losses: dict[str, list[float]] = {}
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        losses[name] = []
        train(
            tmp_path / name,
            seed=seed,
            n_steps=2,
            n_tokenizer_documents=2000,
            on_step=lambda _, loss, name=name: losses[name].append(loss),
        )
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in "abc"]
    assert files[0] == files[1] != files[2]
    assert losses["a"] == losses["b"] != losses["c"]
    assert losses["a"][0] == pytest.approx(6.93, abs=0.2)  # ln 1024: nothing known yet


def test_rows_grow_at_constant_tokens():
    assert [row_length(p) for p in (0.0, 0.5, 0.6, 0.9)] == [128, 128, 256, 1024]
    assert all(TOKENS_PER_STEP % length == 0 for _, length in STAGES)


@pytest.mark.parametrize("path", example_sessions(), ids=lambda path: path.stem)
def test_the_example_sessions_are_of_the_shipped_weights(demo, path):
    session = read_session(path)
    assert session.model.fingerprint == fingerprint(demo[0])
    assert session.verification.ok
    patched, context = (session.generation.lanes[lane].token_ids for lane in ("patched", "context"))
    assert patched == context


def test_there_are_six_examples():
    assert [path.stem for path in example_sessions()] == list(EXAMPLES)
    assert len(EXAMPLES) >= 6


@pytest.mark.soak
def test_checkpoints_change_no_bit_of_the_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "TOKENS_PER_STEP", 1024)
    for name, checkpoints in (("with", tmp_path / "checkpoints"), ("without", None)):
        train(tmp_path / name, n_steps=3, n_tokenizer_documents=300, checkpoints=checkpoints)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("with", "without")]
    assert weights[0] == weights[1]
    folders = {
        folder.name: (folder / "model.safetensors").read_bytes() for folder in checkpoints_of(tmp_path)
    }
    assert set(folders) == {"step-0", "step-1", "step-2", "step-3"}
    assert folders["step-3"] == weights[0]
    assert len(set(folders.values())) == 4, "each checkpoint is another model"
    assert AutoTokenizer.from_pretrained(tmp_path / "checkpoints" / "step-0")("a")["input_ids"]


def checkpoints_of(folder):
    return sorted((folder / "checkpoints").iterdir())


@pytest.mark.parametrize("n_steps", [1, 2, 3, 7, 4500])
def test_checkpoints_are_at_the_ends_and_at_like_ratios(n_steps):
    steps = checkpoint_steps(n_steps)
    assert (steps[0], steps[-1]) == (0, n_steps)
    assert list(steps) == sorted(set(steps))
    assert all(later <= 2 * earlier for earlier, later in pairwise(steps[1:]))


def test_a_checkpoint_is_there_whole_or_not_at_all(demo, tmp_path, monkeypatch):
    model, tokenizer = demo

    def full_disk(_folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tokenizer, "save_pretrained", full_disk)
    with pytest.raises(BadInput, match="no space left on device"):
        save_checkpoint(tmp_path / "step-7", model, tokenizer)
    assert not list(tmp_path.iterdir())
