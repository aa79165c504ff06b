"""Files shown to libsndfile as other than they are, where it would misread them."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any


class EndlessFile(io.FileIO):
    """A file that claims to be huge, so that a guessed length never cuts the decoding short."""

    _claimed: int | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Seek, and believe in any end."""
        if whence == os.SEEK_END:
            self._claimed = 2**40 + offset
            return self._claimed
        self._claimed = None
        return super().seek(offset, whence)

    def tell(self) -> int:
        """Return the position, real or claimed."""
        return super().tell() if self._claimed is None else self._claimed


class ReheadedFile(io.RawIOBase):
    """A file seen with another header in front of its samples.

    Args:
        path: the file.
        header: what to show first.
        data_offset: where the samples begin in the file.
    """

    def __init__(self, path: Path, header: bytes, data_offset: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._header = header
        self._shift = len(header) - data_offset
        self._length = path.stat().st_size + self._shift
        self._position = 0

    def close(self) -> None:
        """Close the file behind."""
        self._file.close()
        super().close()

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Seek in what is shown."""
        self._position = (
            offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        )
        return self._position

    def tell(self) -> int:
        """Return the position in what is shown."""
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Read the header first, then the samples."""
        view = memoryview(buffer).cast("B")
        part = self._header[self._position : self._position + len(view)]
        if not part:
            self._file.seek(self._position - self._shift)
            part = self._file.read(len(view))
        view[: len(part)] = part
        self._position += len(part)
        return len(part)
