"""A GGUF file, written whole and read back.

Enters: a ``GGUFWriter`` that holds everything. Leaves: a ``GGUFReader`` of the file.
"""

import errno
import os
from pathlib import Path
from typing import Any


def written(writer: Any, path: Path) -> Any:
    """Write what ``writer`` holds to its file at ``path``, and read the file.

    Raises:
        OSError: the disk is full. numpy leaves a tensor's last bytes in a buffer of C's, and passes over it where they
            cannot be written.
    """
    from gguf import GGUFReader

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    end = writer.fout[0].tell()
    writer.close()
    if path.stat().st_size < end:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    return GGUFReader(path)
