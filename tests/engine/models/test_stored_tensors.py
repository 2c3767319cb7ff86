"""What the headers of a checkpoint say, of any format and wherever it is."""

import json

import pytest
import torch

from icltui.engine.models.checkpoint import Checkpoint
from icltui.engine.models.stored_tensors import stored_tensors
from icltui.values.errors import ModelError


def source(folder) -> Checkpoint:
    return Checkpoint(str(folder), None, trusts_code=False)


def n_parameters(model) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_headers_hold_every_tensor(model, folder):
    stored = stored_tensors(source(folder))
    assert {name: tensor.shape for name, tensor in stored.items()} == {
        name: tuple(parameter.shape) for name, parameter in model.named_parameters()
    }
    assert sum(tensor.n_bytes for tensor in stored.values()) == 4 * n_parameters(model)


def test_shards_are_read_through_their_index(model, folder, tmp_path):
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert stored_tensors(source(tmp_path)) == stored_tensors(source(folder))


@pytest.mark.parametrize("is_new", [True, False], ids=["of today", "of before 2020"])
def test_a_pickle_tells_the_same(is_new, model, folder, tmp_path):
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=is_new)
    assert stored_tensors(source(tmp_path)) == stored_tensors(source(folder))


def test_the_hub_is_asked_for_headers(monkeypatch):
    class Hub:
        def get_safetensors_metadata(self, name, revision):
            assert (name, revision) == ("some/model", "v1")
            raise OSError("no network")

    monkeypatch.setattr("icltui.engine.models.stored_tensors.HfApi", Hub)
    assert stored_tensors(Checkpoint("some/model", "v1", trusts_code=False)) == {}


def test_a_part_of_the_weights_that_is_missing_or_damaged_is_named(model, tmp_path):
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    part = sorted(tmp_path.glob("*.safetensors"))[1]
    part.write_bytes(part.read_bytes()[:-4])
    with pytest.raises(ModelError, match=f"{part.name}' is damaged or cut off: download it again"):
        stored_tensors(source(tmp_path))
    part.unlink()
    with pytest.raises(ModelError, match=f"lacks {part.name}, a part of its weights: download it again"):
        stored_tensors(source(tmp_path))


def test_a_file_larger_than_memory_is_only_looked_at(tmp_path):
    """Its header is read without the file being mapped whole."""
    header = json.dumps(
        {"w": {"dtype": "BF16", "shape": [2**20, 2**20], "data_offsets": [0, 2**41]}}
    ).encode()
    file = tmp_path / "model.safetensors"
    with file.open("wb") as opened:
        opened.write(len(header).to_bytes(8, "little") + header)
        try:
            opened.truncate(8 + len(header) + 2**41)  # a hole, which takes no room
        except OSError:
            pytest.skip("no sparse files of 2 TiB here")
    assert stored_tensors(source(tmp_path))["w"].n_bytes == 2**41


def test_a_dtype_that_safetensors_has_no_name_for_counts_its_bytes(tmp_path):
    torch.save({"w": torch.zeros(3, dtype=torch.complex128)}, tmp_path / "pytorch_model.bin")
    (tensor,) = stored_tensors(source(tmp_path)).values()
    assert (tensor.n_bytes, tensor.is_float) == (48, False)
