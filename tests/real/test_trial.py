"""Prompts in batches on a real model: each has the numbers of its prompt alone, and the criteria of exactness hold."""

import msgspec
import pytest

from icltui.api import run_to_result
from icltui.api.messages import Verify
from icltui.engine.trial.prompt import trial_prompt
from icltui.engine.trial.trial import trial
from icltui.studies.exactness import Exactness
from icltui.studies.exactness_summary import meets
from icltui.studies.study import StudySettings
from icltui.tasks.steering import steering_prompts
from icltui.values.prompt import Prompt
from icltui.values.trial import TrialPatch

pytestmark = pytest.mark.real


def test_rows_of_a_batch_are_verifys(engine):
    loaded = engine.loaded
    texts = [Prompt(context=one.context, query=one.query) for one in steering_prompts("general", 17)[::8]]
    asked = [
        TrialPatch(),
        TrialPatch(mode="frozen"),
        TrialPatch(components="shift"),
        TrialPatch(control="random"),
    ]
    results = list(trial(loaded, [trial_prompt(loaded, text) for text in texts], asked))
    for result in results:
        alone = run_to_result.verify(engine, Verify(prompt=texts[result.index]))
        per_step, frozen, shift, random = result.patches
        assert max(per_step.linf, frozen.linf) < 1e-4 * result.logit_scale < result.plain.linf
        for score, error in (
            (result.plain, alone.logits["plain"]),
            (shift, alone.logits["shift"]),
            (random, alone.controls["random"]),
        ):
            assert score.linf == pytest.approx(error.linf, rel=1e-2)
            assert score.kl == pytest.approx(error.kl, rel=1e-2)


def test_every_layer_meets_the_criteria(engine):
    study = Exactness(StudySettings(n=1))
    ((whole, *layers),) = study.run(engine, engine.info, study.items(engine, engine.info))
    assert whole.ok
    assert len(layers) == 30
    assert all(meets(msgspec.to_builtins(row)) for row in layers)
