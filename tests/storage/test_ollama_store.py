"""The store of Ollama: which file a name means, and what is said where there is none."""

import json
from pathlib import Path

import pytest

from icltui.storage import ollama_store
from icltui.storage.ollama_store import ollama_file, ollama_models
from icltui.values.errors import ModelError

DIGEST = "sha256:" + "ab" * 32
MODEL = "application/vnd.ollama.image.model"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(ollama_store, "STORES", ())
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path))
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / DIGEST.replace(":", "-")).write_bytes(b"GGUF")
    for place in ("registry.ollama.ai/library/smollm2/135m", "registry.ollama.ai/me/mine/latest"):
        manifest(tmp_path, place, DIGEST)
    manifest(tmp_path, "hf.co/bartowski/Llama-3.2-1B-GGUF/Q4_K_M", DIGEST)
    return tmp_path


def manifest(store: Path, place: str, digest: str, kind: str = MODEL) -> Path:
    file = store / "manifests" / place
    file.parent.mkdir(parents=True, exist_ok=True)
    layers = [{"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:0"}]
    file.write_text(json.dumps({"layers": [*layers, {"mediaType": kind, "digest": digest, "size": 4}]}))
    return file


@pytest.mark.parametrize(
    "name", ["ollama:smollm2:135m", "ollama:me/mine", "ollama:hf.co/bartowski/Llama-3.2-1B-GGUF:Q4_K_M"]
)
def test_a_name_leads_to_the_blob_that_its_manifest_names(store: Path, name: str) -> None:
    assert ollama_file(name) == store / "blobs" / DIGEST.replace(":", "-")


@pytest.mark.usefixtures("store")
def test_the_models_are_listed_as_they_are_typed() -> None:
    assert ollama_models() == [
        "ollama:hf.co/bartowski/Llama-3.2-1B-GGUF:Q4_K_M",
        "ollama:me/mine:latest",
        "ollama:smollm2:135m",
    ]
    with pytest.raises(ModelError, match=r"no model 'ollama:llama3' .*: there are .*, ollama:smollm2:135m$"):
        ollama_file("ollama:llama3")


@pytest.mark.parametrize("name", ["../../x", "a/../b", "a/b/c/d", "", ":x", "a b", "a\0"])
@pytest.mark.usefixtures("store")
def test_a_name_cannot_leave_the_store(name: str) -> None:
    with pytest.raises(ModelError, match="is no name of Ollama's"):
        ollama_file(f"ollama:{name}")


@pytest.mark.parametrize(
    ("digest", "said"),
    [
        ("sha256:" + "cd" * 32, "lacks its weights, .*sha256-cdcd.*: pull it again"),
        ("sha256:../../../etc/passwd", "names 'sha256:../../../etc/passwd', which is no digest"),
        ("../" + "ab" * 32, "which is no digest"),
    ],
)
def test_a_digest_without_a_blob_is_refused(store: Path, digest: str, said: str) -> None:
    manifest(store, "registry.ollama.ai/library/bad/latest", digest)
    with pytest.raises(ModelError, match=said):
        ollama_file("ollama:bad")


def test_a_manifest_without_weights_or_damaged_is_refused(store: Path) -> None:
    file = manifest(store, "registry.ollama.ai/library/bad/latest", DIGEST, kind="text/plain")
    with pytest.raises(ModelError, match="has no GGUF here by its manifest"):
        ollama_file("ollama:bad")
    for content in (b"", b"[]", b"\xff", b"[" * 10**5):
        file.write_bytes(content)
        with pytest.raises(ModelError, match=r"has a damaged manifest, .*: pull it again"):
            ollama_file("ollama:bad")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("application/vnd.ollama.image.adapter", "is an adapter on another model's weights"),
        (MODEL, "has its weights in 2 files"),
    ],
)
def test_weights_that_are_a_part_of_the_model_are_refused(store: Path, kind: str, said: str) -> None:
    file = manifest(store, "registry.ollama.ai/library/more/latest", DIGEST)
    layers = json.loads(file.read_text())["layers"]
    file.write_text(json.dumps({"layers": [*layers, {"mediaType": kind, "digest": DIGEST}]}))
    with pytest.raises(ModelError, match=said):
        ollama_file("ollama:more")


def test_without_a_store_or_models_it_says_so(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_MODELS", str(store / "none"))
    with pytest.raises(ModelError, match="Ollama has no store here: set OLLAMA_MODELS"):
        ollama_file("ollama:x")
    (store / "none/manifests").mkdir(parents=True)
    with pytest.raises(ModelError, match="in the store of Ollama: it is empty"):
        ollama_file("ollama:x")
