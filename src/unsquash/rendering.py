"""From a stream of samples to a finished output: level, dither, container, all or nothing.

At most one constant gain is applied to the whole of a recording, and it is always reported.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np

from unsquash.analysis.diagnosis import Diagnosis
from unsquash.analysis.levels import Levels, LevelsMeter
from unsquash.audio import Attachments, AudioWriter, OutputFormat, open_pipe_writer, open_writer
from unsquash.errors import OutputError
from unsquash.options import LevelPolicy, RestoreOptions
from unsquash.units import FloatArray, db_to_linear, to_interleaved, to_planar

TRUE_PEAK_LIMIT_DBTP = -1.0
_BLOCK_SAMPLES = 65536
_ROUNDING_DB = 1e-6

Target = Path | BinaryIO
Progress = Callable[[str, int, int], None]
Attach = Callable[[float, Callable[[], Levels]], Attachments]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """How a stream is to be written.

    Attributes:
        target: a path, or a binary stream such as stdout.
        output_format: container, sample format, rate and channels.
        level: policy, or a loudness in LUFS.
        match_lufs: loudness of the input, for the policy `match`.
        dither: add TPDF dither before rounding.
        seed: of the dither.
        overwrite: replace an existing target.
        gain_db: the constant gain, where it was decided for more than this recording; `level` is ignored.
        earlier_db: the constant gain of an earlier run, instead of `level`; an integer output gets less of it
            where it would exceed -1 dBTP.
        attach: gives what goes with the samples, from the constant gain and, once all is written, the levels.
    """

    target: Target
    output_format: OutputFormat
    level: LevelPolicy | float
    match_lufs: float | None
    dither: bool
    seed: int
    overwrite: bool
    gain_db: float | None = None
    earlier_db: float | None = None
    attach: Attach | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What was written: its constant gain, its levels after that gain, and remarks."""

    level_gain_db: float
    levels: Levels
    warnings: tuple[str, ...]


def render(
    blocks: Iterable[FloatArray], rendering: Rendering, *, frames: int, progress: Progress | None = None
) -> Rendered:
    """Write a stream of `(C, t)` blocks as one finished output, or nothing at all.

    A level that depends on the result needs to know all of it first: the stream is then kept in an
    unnamed temporary file beside the target, in double precision, until its peak is known.

    Raises:
        OutputError: the target exists or cannot be written, or the disk is full.
    """
    output_format = rendering.output_format
    meter = LevelsMeter(output_format.sample_rate, output_format.channels)
    policy = rendering.level
    if policy == "auto":
        policy = "keep" if output_format.is_float else "peak-safe"
    measured = _metered(blocks, meter, frames, progress)
    fixed_db = 0.0 if policy == "keep" else None
    if rendering.gain_db is not None:
        fixed_db = rendering.gain_db
    elif output_format.is_float and rendering.earlier_db is not None:
        fixed_db = rendering.earlier_db
    if fixed_db is not None:
        factor = db_to_linear(fixed_db)
        with _open(rendering, frames, fixed_db, meter) as writer:
            for block in measured:
                writer.write(block * factor if fixed_db != 0.0 else block)
        return Rendered(level_gain_db=fixed_db, levels=shifted(meter.result(), fixed_db), warnings=())
    with open_spool(rendering.target) as spool:
        fill_spool(spool, measured)
        levels = meter.result()
        gain_db, warnings = level_gain_db(policy, levels, rendering.match_lufs, output_format.is_float)
        if rendering.earlier_db is not None:
            gain_db, warnings = _no_louder(rendering.earlier_db, levels)
        factor = db_to_linear(gain_db)
        with _open(rendering, frames, gain_db, meter) as writer:
            for done, block in read_spool(spool, output_format.channels):
                writer.write(block * factor if gain_db != 0.0 else block)
                if progress is not None:
                    progress("write", done, frames)
    return Rendered(level_gain_db=gain_db, levels=shifted(levels, gain_db), warnings=warnings)


def level_policy(options: RestoreOptions, diagnosis: Diagnosis, *, changed: bool) -> LevelPolicy | float:
    """Return the level policy; what is left alone keeps its level unless an integer cannot hold its peak."""
    peak_dbfs = diagnosis.levels.sample_peak_dbfs
    return options.level if changed or (peak_dbfs is not None and peak_dbfs > 0.0) else "keep"


def level_gain_db(
    policy: LevelPolicy | float, levels: Levels, match_lufs: float | None, is_float: bool
) -> tuple[float, tuple[str, ...]]:
    """Return the one constant gain that a policy asks for, and remarks about it.

    An integer output never exceeds -1 dBTP, whatever the policy.
    """
    wanted_db = 0.0
    remarks: tuple[str, ...] = ()
    target_lufs = match_lufs if policy == "match" else policy if isinstance(policy, float | int) else None
    if target_lufs is not None and levels.integrated_lufs is not None:
        wanted_db = target_lufs - levels.integrated_lufs
    elif policy == "match" or target_lufs is not None:
        target_lufs, remarks = None, ("it is too short or too quiet to have a loudness that could be set",)
    if levels.true_peak_dbtp is None or (is_float and policy != "peak-safe"):
        return wanted_db, remarks
    allowed_db = TRUE_PEAK_LIMIT_DBTP - levels.true_peak_dbtp
    if wanted_db <= allowed_db:
        return wanted_db, remarks
    if target_lufs is None:
        return allowed_db, remarks
    short_db = wanted_db - allowed_db
    remark = f"the level stays {short_db:.1f} dB below what was asked, to keep {TRUE_PEAK_LIMIT_DBTP} dBTP"
    return allowed_db, (remark,)


def _no_louder(wanted_db: float, levels: Levels) -> tuple[float, tuple[str, ...]]:
    """Return a gain, or what of it an integer output can take, and remarks."""
    if levels.true_peak_dbtp is None:
        return wanted_db, ()
    allowed_db = TRUE_PEAK_LIMIT_DBTP - levels.true_peak_dbtp
    if wanted_db <= allowed_db + _ROUNDING_DB:
        return wanted_db, ()
    short_db = wanted_db - allowed_db
    return allowed_db, (f"{short_db:.1f} dB softer than saved, to keep {TRUE_PEAK_LIMIT_DBTP} dBTP",)


def shifted(levels: Levels, gain_db: float) -> Levels:
    """Return the levels of the same recording after a constant gain."""

    def shift(level: float | None) -> float | None:
        return None if level is None else level + gain_db

    return replace(
        levels,
        integrated_lufs=shift(levels.integrated_lufs),
        true_peak_dbtp=shift(levels.true_peak_dbtp),
        sample_peak_dbfs=shift(levels.sample_peak_dbfs),
        rms_dbfs=shift(levels.rms_dbfs),
    )


def _metered(
    blocks: Iterable[FloatArray], meter: LevelsMeter, frames: int, progress: Progress | None
) -> Iterator[FloatArray]:
    done = 0
    for block in blocks:
        meter.push(block)
        done += block.shape[1]
        if progress is not None:
            progress("restore", done, frames)
        yield block


def _open(
    rendering: Rendering, frames: int, gain_db: float, meter: LevelsMeter
) -> AbstractContextManager[AudioWriter]:
    attachments = Attachments()
    if rendering.attach is not None:
        attachments = rendering.attach(gain_db, lambda: shifted(meter.result(), gain_db))
    target, output_format, dither = rendering.target, rendering.output_format, rendering.dither
    if isinstance(target, Path):
        return open_writer(
            target,
            output_format,
            overwrite=rendering.overwrite,
            dither=dither,
            seed=rendering.seed,
            attachments=attachments,
        )
    return open_pipe_writer(
        target, output_format, frames=frames, dither=dither, seed=rendering.seed, attachments=attachments
    )


def open_spool(target: Target) -> IO[bytes]:
    """Open an unnamed temporary file on the target's disk; it vanishes even if the process is killed.

    Raises:
        OutputError: the target's folder cannot be written to.
    """
    folder = target.parent if isinstance(target, Path) else None
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        raise OutputError(f"cannot write into {folder}: {error}", hint="choose another folder") from error


def fill_spool(spool: IO[bytes], blocks: Iterable[FloatArray]) -> None:
    """Keep a stream in double precision.

    Shape:
        blocks: `(C, t)` each.

    Raises:
        OutputError: the disk is full.
    """
    try:
        for block in blocks:
            spool.write(to_interleaved(block).data)
        spool.flush()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"no room for the working copy: {reason}", hint="free some disk space") from error


def read_spool(spool: IO[bytes], channels: int) -> Iterator[tuple[int, FloatArray]]:
    """Yield what was kept, from its beginning: samples done after each block, and the block.

    Shape:
        block: `(C, t)`.
    """
    spool.seek(0)
    done = 0
    while data := spool.read(_BLOCK_SAMPLES * channels * 8):
        block = np.frombuffer(data, np.float64).reshape(-1, channels)
        done += len(block)
        yield done, to_planar(block)
