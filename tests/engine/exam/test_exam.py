"""The rows of an exam on the embedded model, against weights changed for real and plain sums in float64."""

import copy
from pathlib import Path
from statistics import mean, median

import pytest
import torch
from msgspec.structs import replace

from icltui.api.messages import (
    ExamEnded,
    Examine,
    ExamRowEnded,
    ExamStarted,
    LoadModel,
    ModelLoaded,
    OtherContext,
    Progress,
)
from icltui.engine.exam import jobs
from icltui.engine.exam.examinee import maps
from icltui.engine.generate.prepare_request import make_spec
from icltui.engine.local import LocalEngine
from icltui.engine.patch.build import build_patch
from icltui.storage.sessions import read_session
from icltui.values import EXAM_PATCHES
from icltui.values.errors import BadInput
from icltui.values.recipe import COMPILED, Recipe
from tests.engine.small_models import tiny

pytestmark = pytest.mark.usefixtures("less_text")
LABELS = read_session(Path(__file__).parents[3] / "sessions" / "labels.json")
QUERIES, HOLDOUT = LABELS.recipe.queries[:8], LABELS.holdout[:6]
RECIPE = replace(LABELS.recipe, queries=QUERIES, metric="ordinary", epsilon=0.01, ridge=0.01)
PLAIN = replace(RECIPE, metric="plain")


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    made = LocalEngine()
    assert isinstance(list(made.run(LoadModel(), never))[-1], ModelLoaded)
    return made


@pytest.fixture(scope="module")
def background(tmp_path_factory) -> str:
    """A text of its own, short, so that the metric costs little."""
    words = ["sand", "river", "the", "of", "north", "ring", "seven", "moved", "and", "over", "light"]
    lines = (" ".join(words[(k * k + n) % 11] for n in range(12)) + ".\n" for k in range(60))
    path = tmp_path_factory.mktemp("text") / "background.txt"
    path.write_text("".join(lines))
    return str(path)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def request(background: str, *rows: str, **more) -> Examine:
    recipe = replace(more.pop("recipe", RECIPE), background=background)
    values = {"holdout": HOLDOUT, **more}
    return Examine(prompt=LABELS.prompt, recipe=recipe, rows=rows, **values)


def held(engine: LocalEngine, made: Examine):
    """The exam; its rows are those that were sent before, its first event is not one of them."""
    events = [event for event in engine.run(made, never) if not isinstance(event, Progress)]
    first, *rows, last = events
    assert isinstance(first, ExamStarted)
    assert not first.exam.rows
    assert all(isinstance(event, ExamRowEnded) for event in rows)
    assert isinstance(last, ExamEnded)
    assert last.exam.rows == tuple(event.row for event in rows)
    assert [row.patch for row in last.exam.rows] == list(made.rows)
    assert last.exam.queries == first.exam.queries
    return last.exam


@pytest.fixture(scope="module")
def whole(engine, background, tmp_path_factory):
    """Every usual row, once for all tests."""
    names = ("per-step", "plain", "ordinary", "frozen", "mean-shift", "shift-alone", "random")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return held(engine, request(background, *names))


class ByHand:
    """The same patch as changed weights of a copy of the model; queries as bare rows of ids."""

    def __init__(self, engine: LocalEngine, recipe: Recipe) -> None:
        loaded = engine._model()
        spec = make_spec(loaded, LABELS.prompt, "all", recipe, HOLDOUT, 2)
        with torch.no_grad():
            patch = build_patch(spec).patch
        self.spec, self.plain, self.changed = spec, loaded.model, copy.deepcopy(loaded.model)
        for layer, part in patch.layers.items():
            mlp = self.changed.model.layers[layer].mlp
            with torch.no_grad():
                if part.weights is not None:
                    map_ = part.weights.write.double() @ part.weights.read.double()
                    for matrix in (mlp.gate_proj.weight, mlp.up_proj.weight):
                        matrix += (matrix.double() @ map_).float()
                if part.output is not None:
                    mlp.down_proj.weight += (part.output.write.double() @ part.output.read.double()).float()

    @torch.no_grad()
    def kl(self, model, ids, said, n: int) -> float:
        """Σ KL(context ‖ model) after the query and the first of what was said, from two bare runs."""
        full = torch.tensor([[*ids.prefix, *ids.context, *ids.query, *said]])
        row = torch.tensor([[*ids.prefix, *ids.query, *said]])
        theirs = self.plain(full).logits[0, -1 - len(said) :].double().log_softmax(-1)[:n]
        ours = model(row).logits[0, -1 - len(said) :].double().log_softmax(-1)[:n]
        return float((theirs.exp() * (theirs - ours)).sum())

    @torch.no_grad()
    def greedy(self, model, row, n: int = 2) -> list[int]:
        said: list[int] = []
        for _ in range(n):
            said.append(int(model(torch.tensor([[*row, *said]])).logits[0, -1].argmax()))
        return said

    @torch.no_grad()
    def log_p(self, row, said) -> float:
        log_p = self.plain(torch.tensor([[*row, *said]])).logits[0].double().log_softmax(-1)
        return sum(float(log_p[len(row) - 1 + k, token]) for k, token in enumerate(said))


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("plain", PLAIN),
        ("frozen", Recipe(mode="frozen")),
    ],
)
def test_a_row_is_what_changed_weights_give(engine, whole, name, recipe):
    """R, answers and their number, without any of the exam's own code."""
    by_hand = ByHand(engine, recipe)
    row = next(row for row in whole.rows if row.patch == name)
    rs, n_right = [], 0
    for ids, query, answer in zip(by_hand.spec.holdout, whole.queries, row.queries, strict=True):
        said = by_hand.greedy(by_hand.plain, ids.full)
        own = by_hand.greedy(by_hand.plain, ids.plain)
        kl_plain = by_hand.kl(by_hand.plain, ids, said, 2)
        kl = by_hand.kl(by_hand.changed, ids, said, 2)
        rs.append(1 - kl / kl_plain)
        assert query.kl_plain == pytest.approx(kl_plain, rel=1e-4)
        assert answer.kl == pytest.approx(kl, rel=1e-3, abs=1e-5)
        assert answer.r == pytest.approx(rs[-1], abs=1e-4)
        patched = by_hand.greedy(by_hand.changed, ids.plain)
        decode = engine._model().tokenizer.decode
        assert (query.context, query.plain, answer.text) == (decode(said), decode(own), decode(patched))
        assert answer.right == (patched == said)
        assert query.right_plain == (own == said)
        margin = by_hand.log_p(ids.plain, own) - by_hand.log_p(ids.plain, said)
        assert query.prior_margin == pytest.approx(margin, abs=1e-4)
        n_right += patched == said
    assert row.r_median == pytest.approx(median(rs), abs=1e-4)
    assert row.r_mean == pytest.approx(mean(rs), abs=1e-4)
    assert (row.right, row.n_queries, row.n_tokens) == (n_right, len(HOLDOUT), 2 * len(HOLDOUT))


def test_collateral_is_what_changed_weights_do_to_the_held_out_rows(engine, whole, background):
    from icltui.engine.metric.background import read_background, rows

    by_hand = ByHand(engine, PLAIN)
    loaded = engine._model()
    found = rows(loaded, read_background(loaded, background), "held out")
    kls = []
    with torch.no_grad():
        for text in found:
            ids = torch.tensor([text.ids[: text.n_kept + 128]])
            p, q = (
                m(ids).logits[0, text.n_kept :].double().log_softmax(-1)
                for m in (by_hand.plain, by_hand.changed)
            )
            kls += (p.exp() * (p - q)).sum(-1).tolist()
    row = next(row for row in whole.rows if row.patch == "plain")
    assert whole.collateral_tokens == len(kls)
    assert row.collateral_kl == pytest.approx(mean(kls), rel=1e-3)


def test_a_patch_per_step_is_the_bound_and_has_no_collateral(whole):
    row = whole.rows[0]
    assert row.r_median == pytest.approx(1, abs=1e-5)
    assert row.right == row.right_context == len(HOLDOUT)
    assert (row.collateral_kl, row.floats, row.rank, row.ranks) == (None, None, None, ())


def test_rows_are_ranked_as_they_should_be(whole):
    rows = {row.patch: row for row in whole.rows}
    assert rows["plain"].r_median > rows["frozen"].r_median
    assert abs(rows["random"].r_median) < 0.2, "a random patch of equal norm brings nothing"
    assert rows["random"].right == 0
    assert rows["ordinary"].collateral_kl < rows["plain"].collateral_kl / 3
    for row in rows.values():
        assert row.r_low <= row.r_median <= row.r_high


def test_the_random_patch_is_as_large_as_the_plain_one(engine, background, monkeypatch):
    made = {}
    real = jobs.answer_all
    monkeypatch.setattr(jobs, "answer_all", lambda q, one: (made.update({one.made: one}), real(q, one))[1])
    held(engine, request(background, "plain", "random", recipe=PLAIN))
    plain, random = made.values()
    for layer, part in random.layers.items():
        for ours, theirs in zip(maps(part), maps(plain.layers[layer]), strict=True):
            norm = float(torch.linalg.matrix_norm(theirs.write @ theirs.read))
            assert float(torch.linalg.matrix_norm(ours.write @ ours.read)) == pytest.approx(norm, rel=1e-4)
            assert not torch.allclose(ours.write @ ours.read, theirs.write @ theirs.read, atol=norm / 100)


def test_numbers_and_ranks(engine, whole):
    """A frozen patch holds two vectors a map and layer; a mean shift one; a curve ends at the whole patch."""
    rows, config = {row.patch: row for row in whole.rows}, engine._model().model.config
    d, m, n_layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    assert rows["frozen"].floats == n_layers * (d + d + m + d)
    assert rows["frozen"].bytes == 4 * rows["frozen"].floats
    assert rows["mean-shift"].floats == n_layers * d
    plain = rows["plain"]
    assert plain.floats == n_layers * plain.rank * (d + d + m + d)
    assert plain.ranks[-1].rank == plain.rank
    assert plain.ranks[-1].r_median == pytest.approx(plain.r_median, abs=1e-5)
    kept = [point.rank for point in plain.ranks if point.r_median >= 0.9 * plain.r_median]
    assert plain.rank_90 == kept[0] < plain.rank


@pytest.mark.soak
def test_the_same_request_gives_the_same_exam(engine, background):
    asked = request(background, "ordinary", "random", seed=4)
    first, again = held(engine, asked), held(engine, asked)
    untimed = [
        replace(made, seconds=0.0, rows=tuple(replace(row, seconds=0.0) for row in made.rows))
        for made in (first, again)
    ]
    assert untimed[0] == untimed[1]
    other = held(engine, request(background, "random", recipe=replace(RECIPE, seed=1)))
    assert other.rows[0].r_median != first.rows[1].r_median


def test_the_ordinary_patch_is_chosen_where_the_session_holds_none(engine, background):
    """The budget ends after the first way, where *compile* begins: which it is does not hang on the machine."""
    made = held(engine, request(background, "ordinary", recipe=PLAIN, budget=1e-9))
    (row,) = made.rows
    assert f"rank {COMPILED.rank}" in row.made
    assert "ordinary metric" in row.made
    assert row.rank == COMPILED.rank
    assert any("budget" in note for note in made.notes)


def test_true_answers_count_where_they_are_given(engine, background):
    """The context says `` orange`` of an owl; told that it is red, it is wrong, and so is what speaks for it."""
    wrong, right = HOLDOUT[0], HOLDOUT[1]
    said = {query.query: query.context.strip() for query in held(engine, request(background)).queries}
    assert said[wrong] != "red"
    answers = {wrong: "red", right: said[right]}
    made = held(engine, request(background, "per-step", holdout=HOLDOUT[:3], answers=answers))
    assert made.answers_from == "both"
    assert [query.right_context for query in made.queries] == [False, True, True]
    row = made.rows[0]
    assert [answer.right for answer in row.queries] == [False, True, True]
    assert (row.right, row.right_context, row.right_of_context) == (2, 2, 2)


def test_a_row_that_cannot_be_made_says_why_and_the_others_go_on(engine, background):
    twice = replace(PLAIN, queries=(*QUERIES, QUERIES[0]), ridge=0.0)
    made = held(engine, request(background, "plain", "frozen", recipe=twice))
    failed, row = made.rows
    assert "--ridge" in failed.reason
    assert (failed.r_median, failed.queries) == (None, ())
    assert row.r_median is not None
    assert not row.reason


@pytest.mark.soak
def test_no_rival_can_be_trained_on_experts():
    loaded = tiny("mixtral", torch.float32)
    engine = LocalEngine(loaded, loaded.describe("packed"))
    recipe = Recipe(mode="compiled", n_fitted=1, ridge=0.01, queries=(" ab", " cd"))
    prompt = replace(LABELS.prompt, context="abc def", query="")
    text = Examine(prompt=prompt, recipe=recipe, holdout=(" ef", " gh"), rows=("distilled", "frozen"))
    rival, row = held(engine, text).rows
    assert "distilled" in rival.reason
    assert row.r_median is not None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recipe": replace(RECIPE, queries=())}, "no calibration query.*--queries"),
        ({"holdout": QUERIES[:4]}, "4 held-out queries .*leave 0 unseen.*--holdout"),
        ({"holdout": (HOLDOUT[0], HOLDOUT[0])}, "leave 1 unseen"),
        ({"holdout": tuple(map(str, range(1001)))}, "at most 1,000"),
    ],
)
def test_what_cannot_be_examined_is_one_line(engine, background, change, words):
    with pytest.raises(BadInput, match=words) as caught:
        list(engine.run(request(background, "frozen", **change), never))
    assert "\n" not in str(caught.value)


def test_fitted_queries_are_left_out_and_told(engine, background):
    made = held(engine, request(background, holdout=(QUERIES[0], *HOLDOUT[:2])))
    assert [query.query for query in made.queries] == list(HOLDOUT[:2])
    assert made.notes == ("1 held-out query was left out: fitted, or given twice",)


def test_a_row_that_needs_another_context_says_so(engine, background):
    with pytest.raises(BadInput, match="--other"):
        list(engine.run(request(background, "joined"), never))


@pytest.mark.soak
def test_two_contexts_in_one_patch(engine, background):
    """The joined patch is that of all tokens at once: it speaks for both, while one context's own does so for one."""
    arrows = [
        tuple(text.replace(":", " ->") for text in texts)
        for texts in ((LABELS.prompt.context,), QUERIES, HOLDOUT)
    ]
    prompt = replace(LABELS.prompt, context=arrows[0][0], query="")
    other = OtherContext(prompt=prompt, queries=arrows[1], holdout=arrows[2])
    made = held(engine, request(background, "ordinary", "joined", other=other))
    alone, both = made.rows
    assert made.other_queries == arrows[2]
    assert both.interference == pytest.approx(alone.r_median - both.r_median)
    assert both.other.interference == pytest.approx(both.other.r_alone - both.other.r_median)
    assert both.other.r_median > alone.other.r_median
    assert both.rank > alone.rank


def test_an_exam_stops_between_its_pieces(engine, background):
    stopped = []

    def should_stop() -> bool:
        return bool(stopped)

    for event in engine.run(request(background, *EXAM_PATCHES[:7]), should_stop):
        if isinstance(event, ExamRowEnded):
            stopped.append(event.row.patch)
    assert stopped == ["per-step"]
