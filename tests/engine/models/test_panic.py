"""A library in another language that panics fails the job, and neither the engine nor the program."""

import json
import shutil

import pytest
import torch
from tokenizers import Tokenizer

from icltui.api.messages import CountTokens, Generate, JobFailed, LoadModel, Measure, ModelLoaded, Verify
from icltui.cli import main as cli
from icltui.engine.local import LocalEngine
from icltui.values import errors
from icltui.values.errors import ModelError
from icltui.values.prompt import Prompt
from icltui.worker.server import job_failure
from tests.engine.small_models import make_tiny, make_tokenizer

PROMPT = Prompt(context="a b ", query="c")
NO_SUCH_TOKEN = [{"SpecialToken": {"id": "[X]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
AT_LOAD = {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}}
AT_A_TEXT = {
    "post_processor": {
        "type": "TemplateProcessing",
        "single": NO_SUCH_TOKEN,
        "pair": [],
        "special_tokens": {},
    }
}
BARE = {"model": {"type": "WordLevel", "vocab": {"<s>": 0, "a": 1}, "unk_token": "[UNK]"}}
"""An ordinary error of tokenizers, of no class of its own."""


def panic(message="of Rust"):
    """As PyO3 makes it."""
    return type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})(message)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("llama")
    make_tiny("llama", torch.float32).model.save_pretrained(path)
    make_tokenizer().save_pretrained(path)
    return path


def spoiled(folder, tmp_path, changes):
    """A copy whose tokenizer.json is changed."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    file = copy / "tokenizer.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return copy


def run(engine, request):
    return list(engine.run(request, lambda: False))


@pytest.mark.parametrize("changes", [AT_LOAD, AT_A_TEXT, BARE])
def test_a_tokenizer_that_gives_up_fails_the_job_and_the_engine_goes_on(changes, folder, tmp_path):
    engine = LocalEngine()
    where = str(spoiled(folder, tmp_path, changes))
    with pytest.raises(ModelError, match="a library failed on this model's files") as caught:
        [
            run(engine, request)
            for request in (LoadModel(model=where, device="cpu"), CountTokens(prompt=PROMPT))
        ]
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3
    assert isinstance(run(engine, LoadModel(model=str(folder), device="cpu"))[-1], ModelLoaded)


@pytest.mark.parametrize("request_", [CountTokens, Measure, Generate, Verify])
def test_whichever_job_it_is(request_, folder, monkeypatch):
    engine = LocalEngine()
    run(engine, LoadModel(model=str(folder), device="cpu"))

    def panicking(*_args, **_kwargs):
        raise panic()

    monkeypatch.setattr(type(engine.loaded.tokenizer), "__call__", panicking)
    with pytest.raises(ModelError, match=r"PanicException: of Rust"):
        run(engine, request_(prompt=PROMPT))


def test_the_server_answers_and_the_command_line_says_one_line(monkeypatch, capsys):
    told = job_failure(panic("two\nlines"))
    assert isinstance(told, JobFailed)
    assert (told.kind, told.exit_code) == ("ModelError", 3)
    assert "PanicException: two lines" in told.message

    def panicking(_args):
        raise panic()

    monkeypatch.setitem(cli.COMMANDS, "config", panicking)
    assert cli.main(["config"]) == 3
    assert capsys.readouterr().err.startswith("icltui: a library failed")


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_who_asks_for_an_end_gets_it(end):
    assert errors.rust_panic_error(end()) is None


def test_a_real_panic_is_one():
    with pytest.raises(BaseException, match="charsmap") as caught:
        Tokenizer.from_buffer(
            json.dumps(json.loads(make_tokenizer().backend_tokenizer.to_str()) | AT_LOAD).encode()
        )
    assert errors.rust_panic_error(caught.value) is not None
