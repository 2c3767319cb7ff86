"""An adapter in GGUF as llama.cpp reads it, on the model's file unpacked to float32, which rounds nothing more."""

from pathlib import Path

import pytest
from gguf import GGUFReader, GGUFValueType, GGUFWriter, dequantize

from icltui.api import run_to_result
from icltui.api.messages import Export, Measure
from icltui.values.recipe import Recipe
from tests.engine.export.llama_cpp import log_probabilities
from tests.real.conftest import CAPITALS

pytestmark = pytest.mark.real


def unpack(packed: Path, target: Path) -> Path:
    """The file with all its facts, and each tensor in float32 as the gguf package unpacks it."""
    reader = GGUFReader(packed)
    writer = GGUFWriter(target, reader.get_field("general.architecture").contents())
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            kind = field.types[0]
            element = field.types[-1] if kind == GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), kind, element)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, dequantize(tensor.data, tensor.tensor_type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def test_llama_cpp_with_the_adapter_says_what_it_says_with_the_context(gguf, engine, tmp_path):
    pytest.importorskip("xllamacpp", reason="llama.cpp is not here to read it: pip install xllamacpp")
    lora = tmp_path / "lora.gguf"
    report = run_to_result.export(
        engine, Export(prompt=CAPITALS, recipe=Recipe(mode="frozen"), format="gguf-lora", path=str(lora))
    )
    assert report.left_out == ()
    ids = run_to_result.measure(engine, Measure(prompt=CAPITALS, layers="last")).tokens.ids
    assert len(ids.prefix) == 1
    base = unpack(gguf, tmp_path / "base.gguf")
    query, whole = [*ids.prefix, *ids.query], [*ids.prefix, *ids.context, *ids.query]
    context, plain = log_probabilities(base, [whole, query])
    adapted = log_probabilities(base, [query], lora)[0]
    kl, kl_plain = (float((context.exp() * (context - other)).sum()) for other in (adapted, plain))
    assert kl_plain > 0.1
    assert kl < 1e-4
