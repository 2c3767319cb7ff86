"""The folder of a reader who tries what the manual says."""

import shutil
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT

FILES = {
    "notes.txt": "Oslo is red. Rome is blue. Bern is green.",
    "labels.txt": "plum: yellow\npine: red\nsalad: yellow\nhorse: orange\nrabbit: orange\nwillow: red\n",
    "queries.txt": "pear:\nmoss:\nrose:\ncat:\nonion:\nlion:\negg:\nfrog:\nlily:\nfox:\nrice:\nivy:\n",
    "others.txt": "cow:\noak:\ncake:\n",
}
"""What the pages call files of the reader's own."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a reader who has the examples and some texts, and folders of the platform that are empty."""
    shutil.copytree(ROOT / "sessions", tmp_path / "sessions")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, "utf-8")
    for kind in ("STATE", "DATA", "CONFIG"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind))
    monkeypatch.chdir(tmp_path)
    return tmp_path
