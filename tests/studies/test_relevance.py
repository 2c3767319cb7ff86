"""The relevance study on the embedded model, and its statistics on rows whose answer is known."""

import msgspec
import pytest
import torch

from icltui.engine.measure.forward_pass import forward_states
from icltui.engine.trial.prompt import trial_prompt
from icltui.studies.relevance import Relevance, context_prompts
from icltui.studies.relevance_summary import CONTEXTS, correlation, wins
from icltui.studies.statistics import gini
from icltui.studies.study import StudySettings
from icltui.values.prompt import Prompt

STUDY = Relevance(StudySettings(n=2))


@pytest.fixture(scope="module")
def rows(engine):
    items = STUDY.items(engine, engine.info)
    return [msgspec.structs.asdict(row) for some in STUDY.run(engine, engine.info, items) for row in some]


def test_all_contexts_of_a_question_are_of_one_length_and_only_the_relevant_one_answers(engine):
    for _, item in STUDY.items(engine, engine.info):
        prompts = context_prompts(engine.loaded, item)
        assert tuple(prompts) == CONTEXTS
        assert len({len(one.ids.context) for one in prompts.values()}) == 1
        assert len({one.ids.query for one in prompts.values()}) == 1
        texts = {name: engine.loaded.tokenizer.decode(one.ids.context) for name, one in prompts.items()}
        answers = [name for name, text in texts.items() if item.question.answer.strip() in text]
        assert answers == ["relevant"]
        person = item.question.query.split()[-4]
        assert person in texts["relevant"]
        assert person not in texts["tangential"] + texts["irrelevant"]


def test_contexts_lose_tokens_from_the_left(engine):
    n_cut = 0
    for _, item in Relevance(StudySettings(n=30)).items(engine, engine.info):
        prompts = context_prompts(engine.loaded, item)
        for name, text in item.question.contexts.items():
            whole = trial_prompt(engine.loaded, Prompt(context=text, query=item.question.query)).ids.context
            kept = prompts[name].ids.context
            assert whole[len(whole) - len(kept) :] == kept
            n_cut += len(kept) < len(whole)
    assert n_cut > 0


@pytest.mark.soak
def test_a_row_has_the_numbers_of_runs_by_themselves(engine, rows):
    loaded = engine.loaded
    _, item = STUDY.items(engine, engine.info)[0]
    for row, (name, prompt) in zip(rows, context_prompts(loaded, item).items(), strict=False):
        assert row["context"] == name
        ids, answer = prompt.ids, prompt.answer[0]
        runs = []
        with torch.inference_mode():
            for n in range(len(ids.context) + 1):
                tokens = [*ids.prefix, *ids.context[:n], *ids.query]
                logits, seen = forward_states(loaded.model, loaded.sites, tokens, 1)
                runs.append((seen.v[:, 0], logits.log_softmax(-1)))
        v = torch.stack([states for states, _ in runs])
        whole, nothing = runs[-1][1], runs[0][1]
        sizes = (v[-1] - v[0]).norm(dim=-1) / v[0].norm(dim=-1)
        assert row["layer_sizes"] == pytest.approx(sizes.tolist(), rel=1e-3)
        focus = [gini(of_layer) for of_layer in v.diff(dim=0).norm(dim=-1).T.tolist()]
        assert row["layer_focus"] == pytest.approx(focus, rel=1e-3)
        assert row["gain"] == pytest.approx(float(whole[answer] - nothing[answer]), abs=1e-3)
        change = (whole.exp() * (whole - nothing)).sum()
        assert row["change"] == pytest.approx(float(change), rel=1e-3, abs=1e-5)
        assert row["right"] == (int(whole.argmax()) == answer)
        assert (row["noise"] is not None) == (name == "relevant")
    assert rows[0]["noise"] < 1e-3


def test_the_relevant_context_gives_the_answer_to_the_embedded_model(rows):
    gains = {(row["number"], row["context"]): row["gain"] for row in rows}
    for number in range(2):
        assert gains[number, "relevant"] > max(gains[number, other] for other in CONTEXTS[1:]) + 1


def made(number, context, size, gain):
    return {"number": number, "context": context, "size": size, "gain": gain}


def test_correlations_are_within_the_contexts_asked_for():
    rows = [
        made(k, context, float(k + base), -k + base)
        for k in range(6)
        for context, base in (("relevant", 10.0), ("random", 0.0))
    ]
    assert correlation(rows, "size", ("relevant",)).value == pytest.approx(-1)
    assert correlation(rows, "size", ("relevant", "random")).value > 0


def test_wins_compare_contexts_of_one_question():
    rows = [
        *(made(k, "relevant", float(k), 0.0) for k in range(4)),
        *(made(k, "random", 1.5, 0.0) for k in range(4)),
    ]
    assert wins(rows, "size", "random").value == 0.5
    assert wins(rows, "size", "tangential").value is None


def test_the_summary_has_a_line_for_each_context_and_says_so(rows):
    summary = STUDY.summarise([*rows, {**rows[0], "error": "too long", "size": None}])
    assert [line[0] for line in summary.tables[0].rows] == [*CONTEXTS]
    assert [line[1] for line in summary.tables[0].rows] == [2] * 4
    assert (summary.n_rows, summary.n_failed) == (9, 1)
    assert len(summary.answer) == 3
    assert summary.figures[0].kind == "scatter"
