"""The store of Ollama on this machine: which file holds the model of a name.

Enters: ``ollama:NAME`` or ``ollama:NAME:TAG``. Leaves: a GGUF file. A manifest,
``manifests/registry.ollama.ai/library/NAME/TAG``, names the digest of the model, and ``blobs/sha256-…`` holds it.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from icltui.storage.paths import shown
from icltui.values.errors import ModelError, reason_of

PREFIX = "ollama:"
STORES = ("~/.ollama/models", "/usr/share/ollama/.ollama/models")
"""Where a user's Ollama keeps models, and where the service does."""
_HOST, _OWNER, _TAG = "registry.ollama.ai", "library", "latest"
_MODEL, _ADAPTER = "application/vnd.ollama.image.model", "application/vnd.ollama.image.adapter"
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")
_MOST_MANIFEST = 2**20
_MOST_LISTED = 1000


class _Layer(msgspec.Struct):
    """A file of a model."""

    digest: str
    mediaType: str = ""  # noqa: N815 -- Ollama's name


class _Manifest(msgspec.Struct):
    """What a model of Ollama is made of."""

    layers: list[_Layer] = []


def stores() -> list[Path]:
    """The folders in which Ollama keeps models on this machine."""
    own = os.environ.get("OLLAMA_MODELS", "")
    places = [Path(os.path.expanduser(place)) for place in (own, *STORES) if place]
    return [place for place in places if (place / "manifests").is_dir()]


def ollama_models() -> list[str]:
    """The models of the stores as they are typed, sorted: ``ollama:smollm2:135m``."""
    return sorted(
        {_typed(file.relative_to(store / "manifests")) for store in stores() for file in _manifests(store)}
    )


def ollama_file(name: str) -> Path:
    """The GGUF file of the model ``name``.

    Raises:
        ModelError: there is no store or no such model here, or what belongs to it is missing or damaged.
    """
    where = _place(name.removeprefix(PREFIX))
    for store in stores():
        manifest = store / "manifests" / where
        if manifest.is_file():
            return _blob(name, store, manifest)
    if not stores():
        raise ModelError(
            f"no model {name!r}: Ollama has no store here: set OLLAMA_MODELS to the folder that holds manifests"
        )
    listed = ollama_models()
    known = ", ".join(listed[:10]) + (", …" if len(listed) > 10 else "")
    raise ModelError(
        f"no model {name!r} in the store of Ollama: " + (f"there are {known}" if known else "it is empty")
    )


def _place(name: str) -> Path:
    """The manifest's path below ``manifests``: host, owner and tag are Ollama's own where they are left out."""
    *owners, last = name.split("/")
    own_name, _, tag = last.partition(":")
    parts = [*owners, own_name]
    if not all(re.fullmatch(r"[\w-][\w.:-]*", part) for part in (*parts, tag or _TAG)) or len(parts) > 3:
        raise ModelError(
            f"{(PREFIX + name)[:80]!a} is no name of Ollama's: write ollama:NAME or ollama:NAME:TAG"
        )
    return Path(*(_HOST, _OWNER)[: 3 - len(parts)], *parts, tag or _TAG)


def _typed(where: Path) -> str:
    parts = list(where.parts)
    for own in (_HOST, _OWNER):
        if parts[0] == own:
            del parts[0]
    return f"{PREFIX}{'/'.join(parts[:-1])}:{parts[-1]}"


def _manifests(store: Path) -> Iterator[Path]:
    found = (Path(folder, name) for folder, _, names in os.walk(store / "manifests") for name in names)
    for _, file in zip(range(_MOST_LISTED), found, strict=False):
        if len(file.relative_to(store / "manifests").parts) == 4:
            yield file


def _blob(name: str, store: Path, manifest: Path) -> Path:
    layers = _read(name, manifest).layers
    digests = [layer.digest for layer in layers if layer.mediaType == _MODEL]
    if not digests:
        raise ModelError(
            f"model {name!r} has no GGUF here by its manifest, {shown(manifest)}: give a model that Ollama "
            "runs on this machine from one"
        )
    if any(layer.mediaType == _ADAPTER for layer in layers):  # without it this would be another model
        raise ModelError(
            f"model {name!r} is an adapter on another model's weights, which is not read here: give that model, or one "
            "with the adapter merged"
        )
    if len(digests) > 1:
        raise ModelError(
            f"model {name!r} has its weights in {len(digests):,} files, where one is read: give a .gguf file that "
            "holds them all"
        )
    digest = digests[0]
    match = _DIGEST.fullmatch(digest)
    if match is None:
        raise ModelError(
            f"model {name!r} has a manifest that names {digest[:80]!a}, which is no digest: pull it again"
        )
    blob = store / "blobs" / f"sha256-{match[1]}"
    if not blob.is_file():
        raise ModelError(f"model {name!r} lacks its weights, {shown(blob)}: pull it again")
    return blob


def _read(name: str, manifest: Path) -> _Manifest:
    try:
        with manifest.open("rb") as file:
            return msgspec.json.decode(file.read(_MOST_MANIFEST), type=_Manifest)
    except OSError as error:
        raise ModelError(f"{shown(manifest)} cannot be read: {reason_of(error)}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise ModelError(
            f"model {name!r} has a damaged manifest, {shown(manifest)}: pull it again"
        ) from error
