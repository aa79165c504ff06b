"""To judge by ear: the part where most happens, and before and after at equal loudness, also blind."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from unsquash.analysis.diagnosis import Diagnosis
from unsquash.analysis.levels import Levels, LevelsMeter
from unsquash.audio import (
    AudioInfo,
    AudioSource,
    atomic_output,
    check_target,
    choose_format,
    open_writer,
)
from unsquash.errors import OptionError, OutputError
from unsquash.options import RestoreOptions
from unsquash.plan import NeuralInversion, Plan
from unsquash.rendering import TRUE_PEAK_LIMIT_DBTP, Target
from unsquash.stages import restored_blocks
from unsquash.units import Float64Array, FloatArray, db_to_linear

if TYPE_CHECKING:
    from unsquash.stages import Network

_BIN_S = 0.5
_NETWORK_HEARS_S = 600.0
_SPANS = 20


def most_squashed_part(
    source: AudioSource,
    plan: Plan,
    diagnosis: Diagnosis,
    options: RestoreOptions,
    net: Network | None,
    length_s: float,
) -> tuple[int, int]:
    """Return the part of a recording that gets the most gain, as its first sample and the one after its last.

    All of the recording is tried; where a network would take long over it, `_SPANS` parts spread over it
    are. If the plan is to do nothing it is the middle.

    Args:
        source: the recording.
        plan: what is to be done.
        diagnosis: what was found.
        options: what the user wants.
        net: the network, if the plan needs one.
        length_s: of the part.
    """
    info = source.info
    length = max(1, min(info.frames, round(length_s * info.sample_rate)))
    middle = (info.frames - length) // 2
    if length == info.frames or not plan.stages:
        return middle, middle + length
    bin_frames = max(1, round(_BIN_S * info.sample_rate))
    best, best_gain = middle, -np.inf
    for start, stop in _spans(info, plan, length):
        meter = _BinnedGain(bin_frames, stop - start)
        for _ in restored_blocks(source, plan, diagnosis, options, net, start, stop, meter.observe):
            pass
        at, gain = meter.best(length)
        if gain > best_gain:
            best, best_gain = start + at, gain
    best = min(best, info.frames - length)
    return best, best + length


def _spans(info: AudioInfo, plan: Plan, length: int) -> Iterator[tuple[int, int]]:
    is_long = info.frames > _NETWORK_HEARS_S * info.sample_rate
    if not (is_long and isinstance(plan.stages[0], NeuralInversion)):
        yield 0, info.frames
        return
    for start in np.linspace(0, info.frames - length, _SPANS).astype(int).tolist():
        yield start, start + length


class _BinnedGain:
    """Accumulates the gain in bins of half a second."""

    def __init__(self, bin_frames: int, frames: int) -> None:
        self._bin_frames = bin_frames
        self._sums: Float64Array = np.zeros(-(-frames // bin_frames))
        self._position = 0

    def observe(self, samples: FloatArray, gain_db: FloatArray) -> None:
        """Take in one block and its gain."""
        bins = (self._position + np.arange(samples.shape[1])) // self._bin_frames
        self._sums += np.bincount(bins, gain_db.mean(axis=0), minlength=len(self._sums))
        self._position += samples.shape[1]

    def best(self, length: int) -> tuple[int, float]:
        """Return where the most gain falls into `length` samples, on whole bins, and how much."""
        bins = min(len(self._sums), max(1, length // self._bin_frames))
        sums = np.convolve(self._sums, np.ones(bins), mode="valid")
        at = int(np.argmax(sums))
        return at * self._bin_frames, float(sums[at])


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Where before and after at equal loudness go.

    Attributes:
        folder: made if it is missing.
        stem: beginning of the names.
        blind: call them X and Y, in an order that only the key tells.
    """

    folder: Path
    stem: str
    blind: bool

    @property
    def files(self) -> tuple[Path, Path]:
        """The two recordings."""
        first, second = ("X", "Y") if self.blind else ("before", "after")
        return self.folder / f"{self.stem}.{first}.wav", self.folder / f"{self.stem}.{second}.wav"

    @property
    def key(self) -> Path:
        """The file that tells which is which."""
        return self.folder / f"{self.stem}.key"

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files that are written."""
        return (*self.files, self.key) if self.blind else self.files

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(map(str, self.paths))

    def check(self, *, overwrite: bool) -> None:
        """Refuse, before any work, what could not be written in the end; make the folder.

        Raises:
            OutputError: a file exists, or the folder cannot be written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"the folder '{self.folder}' cannot be made: {error.strerror}", hint="choose another folder"
            ) from error
        for path in self.paths:
            check_target(path, overwrite=overwrite)


def choose_pair(source: Path | BinaryIO, target: Target, folder: Path | None, *, blind: bool) -> Pair | None:
    """Return where before and after go, if anywhere.

    Raises:
        OptionError: there is no file to compare with, or no folder.
    """
    if folder is None:
        if blind:
            raise OptionError("there is no pair to be blind", hint="name its folder with --ab DIR")
        return None
    if not isinstance(target, Path):
        raise OptionError("a pair needs an output file to be compared with", hint="name the output")
    stem = source.stem if isinstance(source, Path) else target.stem
    return Pair(folder=folder, stem=stem, blind=blind)


def write_pair(
    pair: Pair, before: AudioSource, part: tuple[int, int], after: AudioSource, *, seed: int, overwrite: bool
) -> tuple[str, ...]:
    """Write before and after as 24-bit WAV at equal loudness; return remarks.

    The louder one is lowered to the other, and both further where a true peak would exceed -1 dBTP.

    Args:
        pair: where to.
        before: the input.
        part: the first sample of it that the output holds, and the one after the last.
        after: the output.
        seed: with the loudness of both it decides the order of a blind pair.
        overwrite: replace existing files.

    Raises:
        OutputError: a file exists, or cannot be written.
    """
    sources = ((before, part), (after, (0, after.info.frames)))
    levels = [_levels(source, span) for source, span in sources]
    matching_db = matching_gains_db(*levels)
    gains_db = matching_db or (_room_db(levels),) * 2
    remarks = () if matching_db else ("too short or too quiet to match the loudness of the pair",)
    order = [0, 1]
    if pair.blind:
        lot = hashlib.sha256(f"{seed} {levels}".encode()).digest()[0] & 1
        order = [lot, 1 - lot]
    for path, index in zip(pair.files, order, strict=True):
        source, span = sources[index]
        factor = db_to_linear(gains_db[index])
        output_format = choose_format(source.info, path, bit_depth="24", frames=span[1] - span[0])
        with open_writer(path, output_format, overwrite=overwrite, dither=True, seed=seed) as writer:
            for block in source.blocks(*span):
                writer.write(block * factor)
    if pair.blind:
        _seal(pair, order, gains_db, overwrite=overwrite)
    return remarks


def matching_gains_db(before: Levels, after: Levels) -> tuple[float, float] | None:
    """Return the gains that make two recordings equally loud; None where one has no loudness."""
    if (
        before.integrated_lufs is None
        or after.integrated_lufs is None
        or before.true_peak_dbtp is None
        or after.true_peak_dbtp is None
    ):
        return None
    target_lufs = min(
        before.integrated_lufs,
        after.integrated_lufs,
        before.integrated_lufs + TRUE_PEAK_LIMIT_DBTP - before.true_peak_dbtp,
        after.integrated_lufs + TRUE_PEAK_LIMIT_DBTP - after.true_peak_dbtp,
    )
    return target_lufs - before.integrated_lufs, target_lufs - after.integrated_lufs


def _room_db(levels: Sequence[Levels]) -> float:
    """Return the gain, 0 dB or less, that lets the 24 bits of a pair hold both."""
    peaks_dbtp = [one.true_peak_dbtp for one in levels if one.true_peak_dbtp is not None]
    return min(0.0, TRUE_PEAK_LIMIT_DBTP - max(peaks_dbtp, default=TRUE_PEAK_LIMIT_DBTP))


def _levels(source: AudioSource, span: tuple[int, int]) -> Levels:
    meter = LevelsMeter(source.info.sample_rate, source.info.channels)
    for block in source.blocks(*span):
        meter.push(block)
    return meter.result()


def _seal(pair: Pair, order: list[int], gains_db: tuple[float, float], *, overwrite: bool) -> None:
    """Write the key in base64, so that nobody reads it by accident, with the digests of the two files."""
    key = {}
    for name, path, index in zip("XY", pair.files, order, strict=True):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        key[name] = {
            "what": ("before", "after")[index],
            "gain_db": gains_db[index],
            "file": path.name,
            "sha256": digest,
        }
    text = base64.b64encode(json.dumps(key).encode()).decode()
    with atomic_output(pair.key, overwrite=overwrite) as file:
        to_open = f"Sealed; to open: tail -n 1 '{pair.key.name}' | base64 -d\n{text}\n"
        file.write(to_open.encode("utf-8", "surrogateescape"))
