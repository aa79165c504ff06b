"""Gain files: the exact gain that was applied to a recording, to apply it again or to take it back.

A safetensors file of three tensors: `curve` (zlib streams, one per block), `ends` (where each of them ends)
and, in the header, what recording it belongs to. A curve in steps of `STEP_DB` is stored as second
differences of integers, any other as its float64 bits; both come back exactly.

Source:
    https://github.com/huggingface/safetensors (the format).
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from unsquash.audio import AudioInfo, AudioSource, atomic_output
from unsquash.errors import InputError, OptionError
from unsquash.units import Float64Array, FloatArray, to_interleaved

STEP_DB = 2.0**-20
_VERSION = 1
_HEADER_BYTES = 4096
_LARGEST_BLOCK = 2**28
_LARGEST_LEVEL_DB = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GainRecord:
    """What a gain file says about itself.

    Attributes:
        sample_rate, channels, frames: of both recordings.
        squashed_sha256: of the samples that the gain was applied to, see `samples_digest`.
        restored_sha256: of the samples of the output; empty where it went into a pipe.
        squashed_subtype: sample type of the input's file, as libsndfile names it.
        level_gain_db: the constant gain that followed.
        method: of the plan that found the gain, such as `model` or `neural`.
        version: of unsquash.
    """

    sample_rate: int
    channels: int
    frames: int
    squashed_sha256: str
    restored_sha256: str
    squashed_subtype: str
    level_gain_db: float
    method: str
    version: str

    def __post_init__(self) -> None:
        words = (self.squashed_sha256, self.restored_sha256, self.squashed_subtype, self.method, self.version)
        if not (
            all(isinstance(word, str) for word in words) and abs(self.level_gain_db) <= _LARGEST_LEVEL_DB
        ):
            raise ValueError("this is no record of a gain")


def samples_digest(source: AudioSource) -> str:
    """Return the SHA-256 of a recording's samples: the same in every container that holds them exactly."""
    digest = hashlib.sha256()
    for block in source.blocks():
        digest.update(sample_bytes(block))
    return digest.hexdigest()


def sample_bytes(block: FloatArray) -> bytes:
    """Return samples as bytes that identify them: float64, interleaved, without negative zeros.

    Shape:
        block: `(C, t)`.
    """
    return (to_interleaved(block) + 0.0).astype("<f8", copy=False).tobytes()


class GainWriter:
    """Takes a gain curve block by block; made by `open_gain_writer`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._ends: list[int] = []
        self._written = 0
        self._rows = 0
        self._block_frames = 0
        self.record: GainRecord | None = None
        file.write(bytes(8 + _HEADER_BYTES))

    def write(self, gain_db: FloatArray) -> None:
        """Append a block; all but the last have the same length.

        Shape:
            gain_db: `(C, t)` or `(1, t)`.
        """
        if not self._ends:
            self._rows, self._block_frames = gain_db.shape
        packed = _pack(np.ascontiguousarray(gain_db, dtype=np.float64))
        self._file.write(packed)
        self._written += len(packed)
        self._ends.append(self._written)

    def finish(self) -> None:
        """Complete the file; `record` must be set."""
        if self.record is None:
            raise RuntimeError("a gain file needs its record")
        self._file.write(bytes(-self._written % 8))
        curve = self._written + -self._written % 8
        self._file.write(np.array(self._ends, dtype="<i8").tobytes())
        about = {
            **dataclasses.asdict(self.record),
            "format": _VERSION,
            "rows": self._rows,
            "block_frames": self._block_frames,
        }
        header = {
            "__metadata__": {"unsquash-gain": json.dumps(about)},
            "curve": {"dtype": "U8", "shape": [curve], "data_offsets": [0, curve]},
            "ends": {
                "dtype": "I64",
                "shape": [len(self._ends)],
                "data_offsets": [curve, curve + 8 * len(self._ends)],
            },
        }
        text = json.dumps(header).encode().ljust(_HEADER_BYTES)
        self._file.seek(0)
        self._file.write(struct.pack("<Q", len(text)) + text)


@contextlib.contextmanager
def open_gain_writer(target: Path, *, overwrite: bool = False) -> Iterator[GainWriter]:
    """Write a gain file that appears on a clean exit, and not at all after an error.

    Raises:
        OutputError: it exists, or cannot be written.
    """
    with atomic_output(target, overwrite=overwrite) as file:
        writer = GainWriter(file)
        yield writer
        writer.finish()


class GainFile:
    """A gain file, read block by block.

    Attributes:
        record: what it says about itself.
        block_frames: how many samples each block but the last covers.
        rows: 1 where the channels share the gain, else their number.

    Raises:
        InputError: it cannot be read, or is not a gain file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as file:
                about = self._read_header(file)
        except OSError as error:
            raise InputError(f"'{path}' cannot be read: {error.strerror}", hint="check the path") from error
        except (ValueError, LookupError, TypeError, struct.error) as error:
            raise self._damaged() from error
        names = {field.name for field in dataclasses.fields(GainRecord)}
        try:
            self.record = GainRecord(**{name: about[name] for name in names})
            self.rows, self.block_frames = int(about["rows"]), int(about["block_frames"])
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            raise self._damaged() from error
        if not (0 < self.block_frames * self.rows < _LARGEST_BLOCK):
            raise self._damaged()
        self._block = -1
        self._gain_db: Float64Array = np.zeros((self.rows, 0))

    def read(self, start: int, stop: int) -> Float64Array:
        """Return the gain from `start` to `stop`.

        Shape:
            `(R, stop - start)`, in dB.

        Raises:
            InputError: the file is damaged there.
        """
        pieces = []
        for block in range(start // self.block_frames, -(-stop // self.block_frames)):
            if block != self._block:
                self._gain_db, self._block = self._unpacked(block), block
            first = block * self.block_frames
            pieces.append(self._gain_db[:, max(0, start - first) : stop - first])
        gain_db = np.concatenate(pieces, axis=1) if pieces else np.zeros((self.rows, 0))
        if gain_db.shape[1] != stop - start:
            raise self._damaged()
        return gain_db

    def check(self, info: AudioInfo, digest: str, *, undo: bool) -> None:
        """Refuse a recording that this gain does not belong to.

        Args:
            info: what the recording holds.
            digest: of its samples.
            undo: it is to be the restored recording, not the squashed one.

        Raises:
            OptionError: it is another one.
        """
        record = self.record
        expected = record.restored_sha256 if undo else record.squashed_sha256
        layout = (info.sample_rate, info.channels, info.frames)
        is_same = layout == (record.sample_rate, record.channels, record.frames)
        if not is_same or (expected and digest != expected):
            what = "came out when it was saved" if undo else "it was saved for"
            raise OptionError(
                f"the gain in '{self._path}' belongs to another recording than {info.name}",
                hint=f"give the recording that {what}; a lossy copy or an edited one is another",
            )

    def _read_header(self, file: BinaryIO) -> dict[str, Any]:
        (size,) = struct.unpack("<Q", file.read(8))
        if size > 2**20:
            raise ValueError("the header is too long")
        header = json.loads(file.read(size))
        about: dict[str, Any] = json.loads(header["__metadata__"]["unsquash-gain"])
        if about["format"] != _VERSION:
            raise ValueError("another version")
        self._data = 8 + size
        start, stop = header["ends"]["data_offsets"]
        if not 0 <= start <= stop <= self._path.stat().st_size:
            raise ValueError("the ends of the blocks lie beyond the file's")
        file.seek(self._data + start)
        self._ends = np.frombuffer(file.read(stop - start), dtype="<i8")
        return about

    def _unpacked(self, block: int) -> Float64Array:
        try:
            start = int(self._ends[block - 1]) if block else 0
            with self._path.open("rb") as file:
                file.seek(self._data + start)
                packed = file.read(int(self._ends[block]) - start)
            return _unpack(packed, self.rows)
        except (OSError, LookupError, ValueError, zlib.error) as error:
            raise self._damaged() from error

    def _damaged(self) -> InputError:
        return InputError(f"'{self._path}' is damaged or no gain file", hint="save it again with --save-gain")


def _pack(gain_db: Float64Array) -> bytes:
    """Compress a block without loss."""
    steps = gain_db / STEP_DB
    if np.array_equal(np.rint(steps), steps) and np.abs(steps).max(initial=0.0) < 2**29:
        differences = np.diff(steps.astype("<i4"), n=2, axis=1, prepend=np.zeros((len(steps), 2), "<i4"))
        return b"\x01" + _squeeze(differences.astype("<i4"))
    return b"\x02" + _squeeze(gain_db.astype("<f8"))


def _unpack(packed: bytes, rows: int) -> Float64Array:
    limit = 8 * _LARGEST_BLOCK
    data = zlib.decompressobj().decompress(packed[1:], limit)
    width = {1: 4, 2: 8}[packed[0]]
    planes = np.frombuffer(data, np.uint8).reshape(width, rows, -1)
    values = np.ascontiguousarray(planes.transpose(1, 2, 0)).view("<i4" if width == 4 else "<f8")[..., 0]
    if width == 8:
        return np.asarray(values, np.float64)
    return np.asarray(np.cumsum(np.cumsum(values.astype(np.int64), axis=1), axis=1) * STEP_DB, np.float64)


def _squeeze(values: np.ndarray[Any, Any]) -> bytes:
    """Compress numbers byte plane by byte plane: the upper bytes hardly change."""
    planes = np.ascontiguousarray(values).view(np.uint8).reshape(*values.shape, values.itemsize)
    return zlib.compress(np.ascontiguousarray(planes.transpose(2, 0, 1)).tobytes(), 6)
