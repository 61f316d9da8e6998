"""Token ids that come one text after the other."""

import io
import tempfile
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np

from textwright.data.dataset import Ids


class IdBuffer:
    """Ids that are added up: in memory, or in a file that vanishes with the last that holds them."""

    def __init__(self, folder: Path | None) -> None:
        self.num_ids = 0
        self._file: BinaryIO = io.BytesIO() if folder is None else tempfile.TemporaryFile(dir=folder)  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not isinstance(self._file, io.BytesIO):  # whose bytes the array may be
            self._file.close()

    def add(self, ids: Ids) -> None:
        """Further ones, of uint32."""
        self._file.write(ids.tobytes())
        self.num_ids += len(ids)

    def as_array(self) -> Ids:
        """All of them; nothing is added any more."""
        if isinstance(self._file, io.BytesIO):
            return np.frombuffer(self._file.getbuffer(), dtype=np.uint32)
        self._file.flush()
        return np.memmap(self._file, dtype=np.uint32, mode="r")
