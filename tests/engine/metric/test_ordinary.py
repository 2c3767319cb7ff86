"""Moments in memory, in a file, and anew: all the same, and whatever is wrong with a file, they come."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from msgspec.structs import replace as with_changes

from icltui.engine.generate.prepare_request import make_spec
from icltui.engine.metric import moments_file, ordinary
from icltui.engine.metric.background import Background
from icltui.engine.metric.metric import OrdinaryMoments
from icltui.engine.metric.ordinary import ordinary_moments
from icltui.engine.patch.build import build_patch, refit
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from tests.engine.small_models import make_tiny, tiny

TEXT = Background("a text", "the quick brown fox jumps over the lazy dog, and so on and on. " * 30)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of the test's own, and nothing in memory."""
    monkeypatch.setattr(moments_file, "folder", lambda: tmp_path / "moments")
    ordinary._LAST.clear()
    yield tmp_path / "moments"
    ordinary._LAST.clear()


def taken(text: Background = TEXT, family: str = "llama") -> tuple[OrdinaryMoments, int]:
    """The moments, and the number of passes that they took."""
    ordinary._LAST.clear()
    with patch.object(ordinary, "stream_moments", wraps=ordinary.stream_moments) as stream:
        return ordinary_moments(tiny(family), text), stream.call_count


def same(one: OrdinaryMoments, other: OrdinaryMoments) -> bool:
    """Whether they are equal bit for bit."""
    assert one.layers.keys() == other.layers.keys()
    return one.n_tokens == other.n_tokens and all(
        (a is None and b is None)
        or (
            a is not None
            and b is not None
            and torch.equal(a.vectors, b.vectors)
            and torch.equal(a.values, b.values)
            and (a.rest, a.mean) == (b.rest, b.mean)
        )
        for layer in one.layers
        for a, b in (
            (one.layers[layer].z, other.layers[layer].z),
            (one.layers[layer].g, other.layers[layer].g),
        )
    )


def test_a_hit_is_the_recomputation_bit_for_bit(folder: Path) -> None:
    first, n = taken()
    again, n_again = taken()
    assert (n, n_again) == (1, 0)
    assert same(first, again)
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    file.unlink()
    anew, n_anew = taken()
    assert n_anew == 1
    assert same(first, anew)


def test_another_text_model_or_tokenizer_is_no_hit(folder: Path) -> None:
    taken()
    assert taken(replace(TEXT, text="!" + TEXT.text))[1] == 1
    assert taken(family="qwen3")[1] == 1
    every = ordinary.rows(tiny("llama"), TEXT)
    reversed_ids = [replace(row, ids=row.ids[::-1]) for row in every]  # as of another tokenizer
    with patch.object(ordinary, "rows", return_value=reversed_ids):
        assert taken()[1] == 1
    assert len(list(folder.iterdir())) == 4


@pytest.mark.parametrize("damage", ["truncated", "empty", "foreign", "not numbers", "a folder"])
def test_a_damaged_file_is_made_anew(folder: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    first, _ = taken()
    (file,) = folder.iterdir()
    data = file.read_bytes()
    if damage == "a folder":
        file.unlink()
        file.mkdir()
    elif damage == "foreign":
        taken(family="qwen3")
        (theirs,) = (path for path in folder.iterdir() if path != file)
        file.write_bytes(theirs.read_bytes())
    else:
        file.write_bytes(
            {"truncated": data[:-9], "empty": b"", "not numbers": data[:-400] + b"\xff" * 400}[damage]
        )
    again, n = taken()
    assert n == 1
    assert same(first, again)
    assert damage == "a folder" or "are damaged" in caplog.text


def test_a_disk_that_is_full_loses_nothing(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with patch.object(moments_file, "save_file", side_effect=OSError(28, "No space left on device")):
        made, _ = taken()
    assert "cannot be kept" in caplog.text
    assert "no space left on device" in caplog.text
    assert list(folder.iterdir()) == []
    assert same(made, taken()[0])


def test_the_files_least_recently_used_go(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken()
    (first,) = folder.iterdir()
    monkeypatch.setattr(moments_file, "MOST_BYTES", int(first.stat().st_size * 2.5))
    taken(family="qwen3")
    (second,) = (path for path in folder.iterdir() if path != first)
    os.utime(first, (1, 1))
    os.utime(second, (2, 2))
    taken()  # uses the first again
    taken(replace(TEXT, text="!" + TEXT.text))
    assert first.exists()
    assert not second.exists()
    assert len(list(folder.iterdir())) == 2


def test_memory_that_does_not_suffice_is_told_with_the_way_out() -> None:
    with patch.object(ordinary, "free_bytes", lambda _: 1000), pytest.raises(BadInput) as caught:
        taken()
    assert "are free: give --metric plain, or a smaller model" in str(caught.value)


def recipe(**changes: object) -> Recipe:
    return with_changes(Recipe(mode="compiled", metric="ordinary", n_fitted=2), **changes)


@pytest.mark.parametrize("family", ["llama", "gpt2", "mixtral"])
def test_a_patch_in_the_metric_fits_its_tokens_as_exactly(family: str) -> None:
    loaded = make_tiny(family)
    spec = make_spec(loaded, Prompt(context="one two three", query=" go"), "all", recipe())
    built = build_patch(replace(spec, background=TEXT))
    plain = build_patch(replace(spec, recipe=recipe(metric="plain"), background=TEXT))
    assert max(fit.error for fit in built.fits if fit.error is not None) < 1e-8
    assert [fit.rank for fit in built.fits] == [fit.rank for fit in plain.fits]
    assert built.fits[0].patch_norm > plain.fits[0].patch_norm
    weights = built.patch.layers[0].weights
    torch.testing.assert_close(weights.read @ weights.read.T, torch.eye(weights.rank).to(weights.read))


def test_a_session_knows_the_text_and_epsilon_alone_needs_no_new_one() -> None:
    loaded = make_tiny("llama")
    spec = replace(
        make_spec(loaded, Prompt(context="one two three", query=" go"), "all", recipe()), background=TEXT
    )
    assert spec.record.background == TEXT.digest
    other = with_changes(spec.record, background="0123456789abcdef")
    assert other.unlike(spec.record) == f"another background text (0123456789abcdef then, {TEXT.digest} now)"
    assert with_changes(other, background="").unlike(spec.record) == ""
    built = build_patch(spec)
    with patch.object(ordinary, "stream_moments", side_effect=AssertionError):
        farther = refit(replace(built, spec=replace(spec, recipe=recipe(epsilon=10.0))))
    assert farther.fits[0].patch_norm < built.fits[0].patch_norm
