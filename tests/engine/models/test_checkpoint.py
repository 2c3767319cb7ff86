"""Where a model is, and whether its files may be read; the hub is played by a few lines."""

import json
from types import SimpleNamespace

import pytest
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

from icltui.api.messages import LoadModel
from icltui.engine.models import checkpoint
from icltui.engine.models.checkpoint import find_checkpoint
from icltui.values.errors import BadInput, ModelError


@pytest.fixture
def hub(monkeypatch):
    """A hub that has these files, or raises this error, and a local cache in ``hub.cached``."""
    hub = SimpleNamespace(files=["config.json", "model.safetensors"], error=None, cached=None, asked=[])

    class Api:
        def model_info(self, name, revision, timeout):
            hub.asked.append((name, revision))
            assert timeout <= 10
            if hub.error is not None:
                raise hub.error
            return SimpleNamespace(siblings=[SimpleNamespace(rfilename=file) for file in hub.files])

    def snapshot_download(name, revision, local_files_only):
        assert local_files_only
        if hub.cached is None:
            raise FileNotFoundError(name, revision)
        return str(hub.cached)

    monkeypatch.setattr(checkpoint, "HfApi", Api)
    monkeypatch.setattr(checkpoint, "snapshot_download", snapshot_download)
    return hub


def find(name="owner/name", **options):
    return find_checkpoint(LoadModel(model=name, **options))


def refusal(kind):
    return kind("no", response=SimpleNamespace(headers={}, request=None, status_code=404))


def test_a_model_on_the_hub(hub):
    found = find(revision="v1", trust_remote_code=True)
    assert (found.name_or_path, found.folder) == ("owner/name", None)
    assert found.kwargs == {"revision": "v1", "local_files_only": False, "trust_remote_code": True}
    assert hub.asked == [("owner/name", "v1")]


@pytest.mark.usefixtures("hub")
def test_code_is_never_asked_about_on_stdin():
    assert find().kwargs["trust_remote_code"] is False


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["README.md"], "has no config.json"),
        (["config.json"], "has no weights"),
        (["config.json", "onnx/model.safetensors"], "has no weights"),
        (["config.json", "pytorch_model.bin"], "give --allow-pickle"),
        (["config.json", "pytorch_model.bin", "adapter_model.safetensors"], "give --allow-pickle"),
        (["config.json", "training_args.bin"], "has no weights"),
    ],
)
def test_files_that_will_not_do(hub, files, words):
    hub.files = files
    with pytest.raises(ModelError, match=words) as caught:
        find()
    assert "model 'owner/name'" in str(caught.value)


def test_a_folder_has_no_revisions(tmp_path):
    with pytest.raises(BadInput, match="--revision v9 goes with a model on the hub"):
        find(str(tmp_path), revision="v9")


def test_pickles_are_taken_when_allowed(hub):
    hub.files = ["config.json", "pytorch_model.bin"]
    assert find(allow_pickle=True).name_or_path == "owner/name"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (refusal(RepositoryNotFoundError), "has no model 'owner/name'"),
        (refusal(RevisionNotFoundError), "has no revision 'v9'"),
        (HFValidationError("bad"), "not a Hugging Face id"),
        (ConnectionError("no route"), "the Hugging Face hub does not answer"),
    ],
)
def test_what_the_hub_refuses_is_said_in_one_line(hub, error, words):
    hub.error = error
    with pytest.raises(ModelError, match=words):
        find(revision="v9")


def test_without_a_network_the_local_cache_must_do(hub, tmp_path):
    hub.error, hub.cached = ConnectionError("no route"), tmp_path
    for file in ("config.json", "model.safetensors.index.json"):
        (tmp_path / file).touch()
    found = find()
    assert found.folder == tmp_path
    assert found.kwargs["local_files_only"]


def index(folder, name, stem="model.safetensors"):
    """The weights of a folder whose index names ``name``."""
    (folder / f"{stem}.index.json").write_text(json.dumps({"weight_map": {"w": name}}))
    return checkpoint.weight_files(folder)


@pytest.fixture
def outside(tmp_path):
    (tmp_path / "secret.safetensors").write_bytes(b"of another")
    folder = tmp_path / "model"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    "name",
    ["../secret.safetensors", "{tmp}/secret.safetensors", "sub/../../secret.safetensors", "link.safetensors"],
)
@pytest.mark.parametrize("stem", ["model.safetensors", "pytorch_model.bin"])
def test_an_index_names_nothing_outside_its_folder(name, stem, outside):
    name = name.format(tmp=outside.parent).replace(".safetensors", stem[stem.index(".") :])
    (outside.parent / "secret.bin").write_bytes(b"of another")
    (outside / "link.safetensors").symlink_to("../secret.safetensors")
    (outside / "link.bin").symlink_to("../secret.bin")
    with pytest.raises(ModelError, match="lies outside of it"):
        index(outside, name, stem)


def test_an_index_names_files_inside_and_blobs_of_the_cache(outside):
    blobs = outside.parent / "models--owner--name" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "abc").write_bytes(b"")
    (outside / "of-the-cache.safetensors").symlink_to(blobs / "abc")
    for name in ("model-1-of-2.safetensors", "sub/model.safetensors", "of-the-cache.safetensors"):
        assert index(outside, name) == [outside / name]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"weight_map": {"w": "model.bin"}}', r"'model\.bin', where a \.safetensors file belongs"),
        ('{"weight_map": {"w": 3}}', "is no index of weights"),
        ("[]", "is no index of weights"),
        ("{", "is no index of weights"),
        (" " * 2**11, "2,048 bytes, where 1,024 are the most"),
    ],
)
def test_what_is_no_index_is_refused_in_one_line(text, words, outside, monkeypatch):
    monkeypatch.setattr(checkpoint, "MOST_JSON", 1024)
    (outside / "model.safetensors.index.json").write_text(text)
    with pytest.raises(ModelError, match=words) as caught:
        checkpoint.weight_files(outside)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["tokenizer.json", "vocab.json", "merges.txt", "chat_template.jinja", "tokenizer.model"]
)
def test_a_tokenizer_is_bounded_before_it_is_read(name, outside):
    (outside / "config.json").write_text("{}")
    (outside / "model.safetensors").write_bytes(b"")
    (outside / "train.json").touch()
    with (outside / name).open("wb") as file:
        file.truncate(checkpoint.MOST_TOKENIZER)
    with (outside / "train.json").open("wb") as file:
        file.truncate(2 * checkpoint.MOST_TOKENIZER)
    find(str(outside))
    with (outside / name).open("wb") as file:
        file.truncate(checkpoint.MOST_TOKENIZER + 1)
    with pytest.raises(ModelError, match=rf"{name} has 134,217,729 bytes, where 134,217,728 are the most"):
        find(str(outside))
