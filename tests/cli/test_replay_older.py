"""A session of the release before, on a model where ``auto`` keeps a token by now, gives the same numbers again."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from msgspec.structs import replace
from tokenizers import processors

from icltui.api import run_to_result
from icltui.api.messages import Generate, LoadModel, Measure, Verify
from icltui.cli.replay import run
from icltui.engine.local import LocalEngine
from icltui.storage.sessions import read_session, write_session
from icltui.values import ModelInfo, Session
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from tests.engine.small_models import make_tiny

PROMPT = Prompt(context="ab cd", query=" ef", bos="never")
RECIPE = Recipe(mode="compiled", n_fitted=1, ridge=1e-3)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalEngine, ModelInfo]:
    """A random GPT-2 with a sink at its first position, whose tokenizer has a BOS and puts it nowhere."""
    folder = tmp_path_factory.mktemp("sink")
    made = make_tiny("gpt2", torch.float32)
    made.model.transformer.wpe.weight.data[0] *= 400
    made.tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    made.model.save_pretrained(folder)
    made.tokenizer.save_pretrained(folder)
    engine = LocalEngine()
    return engine, run_to_result.load(engine, LoadModel(model=str(folder)))


@pytest.fixture
def older(loaded: tuple[LocalEngine, ModelInfo], tmp_path: Path) -> Path:
    """A file as the release before wrote it of a plain text: format 4, ``auto``, no token kept, no field of today."""
    engine, model = loaded
    session = Session(
        prompt=PROMPT,
        model=model,
        recipe=RECIPE,
        n_tokens=2,
        measurement=run_to_result.measure(engine, Measure(prompt=PROMPT)),
        generation=run_to_result.generate(engine, Generate(prompt=PROMPT, recipe=RECIPE, n_tokens=2)),
        verification=run_to_result.verify(engine, Verify(prompt=PROMPT)),
    )
    write_session(tmp_path / "old.json", session)
    document: dict[str, Any] = json.loads((tmp_path / "old.json").read_text())
    document["format"], document["prompt"]["bos"] = 4, "auto"
    del document["model"]["sink"]
    del document["generation"]["kept_prefix"], document["verification"]["kept_prefix"]
    (tmp_path / "old.json").write_text(json.dumps(document))
    return tmp_path / "old.json"


def test_it_gives_the_same_numbers(loaded, older):
    engine, model = loaded
    assert model.sink is not None
    session = read_session(older)
    replayed = run(engine, session, session.model, model)
    assert replayed.same
    assert replayed.notes == ()
    assert {section.section for section in replayed.sections} == {"measurement", "generation", "verification"}


def test_todays_meaning_would_give_others(loaded, older):
    engine, model = loaded
    session = read_session(older)
    session = replace(session, prompt=replace(session.prompt, bos="auto"))
    replayed = run(engine, session, session.model, model)
    assert not any(section.same for section in replayed.sections)
    assert "other tokens before the text (0 then, 1 now)" in replayed.notes[0]
