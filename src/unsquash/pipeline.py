"""The straight path: analyze, plan, run the stages, write.

`restore` works on an array, `restore_file` on a file of any length in constant memory, by the same code.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from unsquash.analysis import diagnosis as analysis
from unsquash.analysis.diagnosis import Diagnosis
from unsquash.analysis.verdict import is_squashed, verdict_of
from unsquash.audio import (
    ArraySource,
    AudioSource,
    RawFormat,
    check_separate,
    check_target,
    choose_format,
    header_remarks,
    open_audio,
    parse_raw_format,
    spooled,
)
from unsquash.audition import choose_pair, most_squashed_part
from unsquash.dsp.profiles import load_profile_set
from unsquash.errors import memory_errors
from unsquash.execution import FileRestoration as FileRestoration
from unsquash.execution import Work, execute, planned
from unsquash.options import RestoreOptions
from unsquash.plan import Plan, is_left_open, make_plan, needs_network
from unsquash.rendering import Progress, Target, level_gain_db
from unsquash.stages import (
    check_fits,
    earlier_level_db,
    judge_for,
    network_on,
    restored_blocks,
    suspects_of,
)
from unsquash.tracing import FileAnalysis as FileAnalysis
from unsquash.tracing import trace as traced
from unsquash.units import FloatArray, db_to_linear

if TYPE_CHECKING:
    from unsquash.stages import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoration:
    """A restored array and everything that led to it.

    Shape:
        samples: as the input, or the part that was asked for; gain_db: `(C, T)`.
    """

    samples: FloatArray
    gain_db: FloatArray
    level_gain_db: float
    diagnosis: Diagnosis
    plan: Plan
    options: RestoreOptions


@memory_errors()
def restore(samples: FloatArray, sample_rate: int, options: RestoreOptions | None = None) -> Restoration:
    """Undo the dynamic range compression of an array.

    The level policy `auto` keeps the level, or gives a saved gain's its own; `bit_depth`, `container` and
    `dither` mean nothing here.

    Args:
        samples: ±1 = 0 dBFS.
        sample_rate: in Hz.
        options: what is wanted; the defaults let the diagnosis decide.

    Shape:
        samples: `(C, T)` or `(T,)`; the result has the input's channels, and its dtype.

    Raises:
        InputError: the samples or options cannot be used.
        ModelError: the network's weights cannot be loaded.
        InversionError: the given compressor has no stable inverse on this signal.

    Example:
        >>> import numpy as np
        >>> restore(np.zeros((2, 4410)), 44100).plan.method
        'none'
    """
    options, samples = options or RestoreOptions(), np.asarray(samples)
    source = ArraySource(samples, sample_rate)
    start, stop = options.part(source.info.sample_rate, source.info.frames)
    diagnosis, plan, net = _decide(source, options, None)
    check_fits(plan, source)
    if options.preview is not None:
        length_s = (stop - start) / sample_rate
        start, stop = most_squashed_part(source, plan, diagnosis, options, net, length_s)
    gains: list[FloatArray] = []

    def observe(_samples: FloatArray, gain_db: FloatArray) -> None:
        gains.append(np.broadcast_to(gain_db, _samples.shape).copy())

    blocks = list(restored_blocks(source, plan, diagnosis, options, net, start, stop, observe))
    restored = np.concatenate(blocks, axis=1) if plan.stages else source.read(start, stop)
    gain_db = np.concatenate(gains, axis=1) if gains else np.zeros(restored.shape)
    trim_db = earlier_level_db(plan, options) or 0.0
    if options.level not in ("auto", "keep"):
        levels = analysis.analyze(ArraySource(restored, sample_rate)).levels
        trim_db, _ = level_gain_db(options.level, levels, diagnosis.levels.integrated_lufs, is_float=True)
    restored = restored * db_to_linear(trim_db)
    return Restoration(
        samples=restored.astype(samples.dtype, copy=False).reshape((*samples.shape[:-1], -1)),
        gain_db=gain_db,
        level_gain_db=trim_db,
        diagnosis=diagnosis,
        plan=plan,
        options=options,
    )


@memory_errors()
def restore_file(
    source: str | Path | BinaryIO,
    target: str | Target,
    options: RestoreOptions | None = None,
    *,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
    save_gain: str | Path | None = None,
    ab: str | Path | None = None,
    blind: bool = False,
) -> FileRestoration:
    """Restore a file, or a stream, of any length; the output appears whole or not at all.

    Args:
        source: a path, or a binary stream such as stdin.
        target: a path, or a binary stream such as stdout.
        options: what is wanted; the defaults let the diagnosis decide.
        overwrite: replace an existing target.
        dry_run: examine and plan only.
        progress: called with `(phase, samples done, samples in all)`.
        save_gain: save the gain there, so that it can be applied again or taken back.
        ab: write before and after into this folder, at equal loudness.
        blind: call them X and Y, and seal the key.

    Raises:
        InputError: the input or an option cannot be used.
        OutputError: the target exists or cannot be written.
        ModelError: the network's weights cannot be loaded.
        InversionError: the given compressor has no stable inverse on this signal.
    """
    options = options or RestoreOptions()
    source, target = (Path(one) if isinstance(one, str) else one for one in (source, target))
    save_gain, ab = (None if name is None else Path(name) for name in (save_gain, ab))
    with ExitStack() as stack:
        path = source if isinstance(source, Path) else stack.enter_context(spooled(source))
        audio = stack.enter_context(open_audio(path, raw_format(options)))
        part = options.part(audio.info.sample_rate, audio.info.frames)
        pair = choose_pair(source, target, ab, blind=blind)
        beside = () if pair is None else (pair.folder, *pair.paths)
        outputs = [one for one in (target, save_gain, *beside) if isinstance(one, Path)]
        for read in (path, *options.files):
            check_separate(read, *outputs)
        if isinstance(target, Path):
            check_target(target, overwrite=overwrite)
        output_format = choose_format(
            audio.info,
            target if isinstance(target, Path) else None,
            container=options.container,
            bit_depth=options.bit_depth,
            frames=part[1] - part[0],
        )
        if save_gain is not None:
            check_target(save_gain, overwrite=overwrite)
        if pair is not None and not dry_run:
            pair.check(overwrite=overwrite)
        diagnosis, plan, net = _decide(audio, options, progress)
        if options.preview is not None:
            length_s = (part[1] - part[0]) / audio.info.sample_rate
            part = most_squashed_part(audio, plan, diagnosis, options, net, length_s)
        report = planned(source, target, audio.info, output_format, diagnosis, plan, part)
        if dry_run:
            return report
        done = execute(
            Work(
                path=path,
                audio=audio,
                target=target,
                output_format=output_format,
                options=options,
                diagnosis=diagnosis,
                plan=plan,
                net=net,
                part=part,
                overwrite=overwrite,
                progress=progress,
                save_gain=save_gain,
                pair=pair,
            )
        )
        return replace(
            report,
            status=done.status,
            gain=done.gain,
            level_gain_db=done.level_gain_db,
            levels=done.levels,
            warnings=done.warnings,
            beside=done.beside,
        )


@memory_errors()
def analyze_file(
    source: str | Path | BinaryIO,
    options: RestoreOptions | None = None,
    *,
    progress: Progress | None = None,
    trace: bool = False,
) -> FileAnalysis:
    """Examine a file, or a stream, of any length; write nothing.

    Args:
        source: a path, or a binary stream such as stdin.
        options: what restore would be asked.
        progress: called with `(phase, samples done, samples in all)`.
        trace: also keep what there is to draw, for which the stages are run.

    Raises:
        InputError: the input cannot be used.
        ModelError: the network's weights cannot be loaded.
    """
    options = options or RestoreOptions()
    source = Path(source) if isinstance(source, str) else source
    with ExitStack() as stack:
        path = source if isinstance(source, Path) else stack.enter_context(spooled(source))
        audio = stack.enter_context(open_audio(path, raw_format(options)))
        diagnosis, plan, net = _decide(audio, options, progress)
        verdict = verdict_of(diagnosis)
        return FileAnalysis(
            input=str(source) if isinstance(source, Path) else "-",
            source=audio.info if isinstance(source, Path) else replace(audio.info, path=None),
            verdict=verdict,
            squashed=is_squashed(verdict),
            diagnosis=diagnosis,
            plan=plan,
            trace=traced(audio, plan, diagnosis, options, net, progress) if trace else None,
        )


@memory_errors()
def analyze(samples: FloatArray, sample_rate: int, options: RestoreOptions | None = None) -> Diagnosis:
    """Examine an array.

    Shape:
        samples: `(C, T)` or `(T,)`.

    Raises:
        InputError: the samples cannot be used.
        ModelError: the network's weights cannot be loaded.
    """
    return _decide(ArraySource(samples, sample_rate), options or RestoreOptions(), None)[0]


def _decide(
    source: AudioSource, options: RestoreOptions, progress: Progress | None
) -> tuple[Diagnosis, Plan, Network | None]:
    load_profile_set(options.profile_set)  # one that cannot be read is refused, needed or not
    net = network_on(options.device, options.model) if needs_network(options) else None
    judge = judge_for(net, options)
    suspects = suspects_of(options.device, options.profile_set) if is_left_open(options) else None
    diagnosis = analysis.analyze(source, net=judge, suspects=suspects, progress=progress)
    plan = make_plan(diagnosis, options)
    if options.input_format is not None and source.info.path is not None:
        plan = replace(plan, warnings=plan.warnings + header_remarks(source.info.path))
    return diagnosis, plan, net


def raw_format(options: RestoreOptions) -> RawFormat | None:
    """Return what headerless input is; None where a header says it."""
    return None if options.input_format is None else parse_raw_format(options.input_format)
