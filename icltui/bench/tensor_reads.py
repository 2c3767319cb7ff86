"""How many bytes of tensors are taken out of safetensors files, so that a second reading shows.

Each tensor counts as often as it is taken out, be it as a copy or as a map of the file.
"""

import sys
from pathlib import Path
from typing import Any

from safetensors import safe_open


class TensorReads:
    """Counts inside its ``with`` block, in every module that has imported ``safe_open`` by then."""

    def __init__(self) -> None:
        self.n_bytes_taken = 0
        self.sizes: dict[str, int] = {}
        """Bytes of each file."""

    @property
    def n_bytes_in_files(self) -> int:
        """Bytes of all files that were opened."""
        return sum(self.sizes.values())

    def __enter__(self) -> "TensorReads":
        self._put(safe_open, self._open)
        return self

    def __exit__(self, *_: object) -> None:
        self._put(self._open, safe_open)

    def taken(self, tensor: Any) -> Any:
        """The tensor, once it is counted."""
        self.n_bytes_taken += tensor.nbytes
        return tensor

    def _open(self, file: Any, *args: Any, **kwargs: Any) -> "_CountedFile":
        self.sizes[str(file)] = Path(file).stat().st_size
        return _CountedFile(self, safe_open(file, *args, **kwargs))

    @staticmethod
    def _put(old: Any, new: Any) -> None:
        for module in list(sys.modules.values()):
            if getattr(module, "__dict__", {}).get("safe_open") == old and module.__name__ != __name__:
                module.safe_open = new  # type: ignore[attr-defined]


class _CountedFile:
    """An open file whose tensors are counted."""

    def __init__(self, reads: TensorReads, file: Any) -> None:
        self._reads, self._file = reads, file

    def __enter__(self) -> "_CountedFile":
        self._file.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._file.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def get_tensor(self, name: str) -> Any:
        return self._reads.taken(self._file.get_tensor(name))

    def get_slice(self, name: str) -> "_CountedSlice":
        return _CountedSlice(self._reads, self._file.get_slice(name))


class _CountedSlice:
    """A tensor in a file, counted where a part of it is taken out."""

    def __init__(self, reads: TensorReads, whole: Any) -> None:
        self._reads, self._whole = reads, whole

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    def __getitem__(self, index: Any) -> Any:
        return self._reads.taken(self._whole[index])
