"""From a plan to a finished output of one recording, and what may be written beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from unsquash.analysis.diagnosis import Diagnosis
from unsquash.analysis.levels import Levels
from unsquash.audio import (
    AudioFile,
    AudioInfo,
    OutputFormat,
    headerless,
    open_audio,
    wants_dither,
)
from unsquash.audition import Pair, write_pair
from unsquash.engines.saved import squashed_again
from unsquash.errors import OptionError
from unsquash.options import RestoreOptions
from unsquash.plan import Plan, SavedGain
from unsquash.rendering import Progress, Rendering, Target, level_policy, render
from unsquash.sidecar import GainFile, GainRecord, GainWriter, open_gain_writer, samples_digest
from unsquash.stages import GainObserver, GainSummary, check_fits, earlier_level_db, restored_blocks
from unsquash.tagging import Tagging, keep_mtime
from unsquash.units import FloatArray

if TYPE_CHECKING:
    from unsquash.stages import Network


Observe: TypeAlias = Callable[[FloatArray, FloatArray], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRestoration:
    """What `restore_file` did, or would do in a dry run.

    `start_s` to `end_s` (None: the end) is the part of the input that the output holds; `beside` names what
    was written besides.
    """

    input: str
    output: str
    status: str  # "restored", "unchanged" or "planned"
    source: AudioInfo
    output_format: OutputFormat
    diagnosis: Diagnosis
    plan: Plan
    gain: GainSummary | None
    level_gain_db: float
    levels: Levels | None
    warnings: tuple[str, ...]
    start_s: float = 0.0
    end_s: float | None = None
    beside: tuple[str, ...] = ()


def planned(
    source: Path | BinaryIO,
    target: Target,
    info: AudioInfo,
    output_format: OutputFormat,
    diagnosis: Diagnosis,
    plan: Plan,
    part: tuple[int, int],
) -> FileRestoration:
    """Return the report of what is to be done."""
    return FileRestoration(
        input=str(source) if isinstance(source, Path) else "-",
        output=str(target) if isinstance(target, Path) else "-",
        status="planned",
        source=info if isinstance(source, Path) else replace(info, path=None),
        output_format=output_format,
        diagnosis=diagnosis,
        plan=plan,
        gain=None,
        level_gain_db=0.0,
        levels=None,
        warnings=plan.warnings,
        start_s=part[0] / info.sample_rate,
        end_s=part[1] / info.sample_rate,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One recording, what is to be done with it, and where it goes.

    Attributes:
        path: the input's file.
        audio: the same, open.
        target: the output.
        output_format: of the output.
        options: what the user wants.
        diagnosis: what was found.
        plan: what is done about it.
        net: the network, if the plan needs one.
        part: the first sample of the input to be written, and the one after the last.
        overwrite: replace an existing target.
        progress: called with `(phase, samples done, samples in all)`.
        save_gain: where to save the gain.
        pair: where before and after go at equal loudness.
    """

    path: Path
    audio: AudioFile
    target: Target
    output_format: OutputFormat
    options: RestoreOptions
    diagnosis: Diagnosis
    plan: Plan
    net: Network | None
    part: tuple[int, int]
    overwrite: bool
    progress: Progress | None
    save_gain: Path | None
    pair: Pair | None

    @property
    def is_whole(self) -> bool:
        """Whether all of the recording is written."""
        return self.part == (0, self.audio.info.frames)

    @property
    def changed(self) -> bool:
        """Whether samples are to differ from the input's."""
        return bool(self.plan.stages) or not isinstance(self.options.level, str)

    @property
    def saved(self) -> SavedGain | None:
        """The stage that applies a saved gain, if that is the plan."""
        for stage in self.plan.stages:
            if isinstance(stage, SavedGain):
                return stage
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of it; `beside` names the files that were written beside the output."""

    status: str  # "restored" or "unchanged"
    gain: GainSummary | None = None
    level_gain_db: float = 0.0
    levels: Levels
    warnings: tuple[str, ...]
    beside: tuple[str, ...] = ()


def execute(work: Work) -> Done:
    """Write the output, whole or not at all, with its tags and what else was asked for.

    Raises:
        UnsquashError: as `restore_file`.
    """
    check_saved_gain(work)
    done = _write(work)
    if work.pair is None or not isinstance(work.target, Path):
        return done
    with open_audio(work.target, headerless(work.output_format)) as output:
        remarks = write_pair(
            work.pair, work.audio, work.part, output, seed=work.options.seed, overwrite=work.overwrite
        )
    return replace(done, beside=done.beside + work.pair.names, warnings=done.warnings + remarks)


def _write(work: Work) -> Done:
    """Write the output and save the gain."""
    tagging = Tagging(
        work.path,
        work.audio.info,
        work.output_format,
        work.options,
        work.plan,
        part=work.part,
        changed=work.changed,
        into_pipe=not isinstance(work.target, Path),
    )
    warnings = work.plan.warnings
    if work.save_gain is not None and not work.plan.stages:
        warnings += ("nothing was changed, so there is no gain to save",)
    if work.output_format.rounds(work.audio.info):
        depth = work.audio.info.bit_depth
        warnings += (
            f"{work.output_format.container} cannot hold the input's {depth} bits: they are rounded",
        )
    holds = work.output_format.holds_as_is(work.audio.info)
    if not work.changed and work.is_whole and holds and isinstance(work.target, Path):
        levels = work.diagnosis.levels
        tagging.copy(work.target, levels, overwrite=work.overwrite)
        return Done(status="unchanged", levels=levels, warnings=warnings + tagging.warnings)
    observer = GainObserver()
    remarks: list[str] = []
    with ExitStack() as stack:
        observe: Observe = observer.observe
        writer = None
        if work.save_gain is not None and work.plan.stages:
            writer = stack.enter_context(open_gain_writer(work.save_gain, overwrite=work.overwrite))
            observe = _both(observer.observe, writer)
        rendered = render(
            _blocks(work, observe, remarks),
            _rendering(work, tagging),
            frames=work.part[1] - work.part[0],
            progress=work.progress,
        )
        if writer is not None:
            writer.record = _record(work, rendered.level_gain_db)
    if work.options.keep_mtime and isinstance(work.target, Path):
        keep_mtime(work.path, work.target)
    return Done(
        status="restored" if work.changed else "unchanged",
        gain=observer.summary() if work.plan.stages else None,
        level_gain_db=rendered.level_gain_db,
        levels=rendered.levels,
        warnings=warnings + rendered.warnings + tagging.warnings + tuple(remarks),
        beside=() if writer is None else (str(work.save_gain),),
    )


def check_saved_gain(work: Work) -> None:
    """Refuse a gain that belongs to another recording, and a part whose gain could not be used again.

    Raises:
        OptionError: either.
        InputError: the gain cannot be read.
    """
    if work.save_gain is not None and not work.is_whole:
        raise OptionError("the gain of a part cannot be saved", hint="leave --start, --end and --preview out")
    check_fits(work.plan, work.audio)


def _blocks(work: Work, observe: Observe, remarks: list[str]) -> Iterator[FloatArray]:
    saved = work.saved
    if saved is None or not saved.undo:
        start, stop = work.part
        return restored_blocks(
            work.audio, work.plan, work.diagnosis, work.options, work.net, start, stop, observe
        )

    def report(is_exact: bool) -> None:
        if not is_exact:
            remarks.append("what was squashed came back to within rounding, not bit for bit")

    return squashed_again(work.audio, GainFile(saved.path), observe, report)


def _rendering(work: Work, tagging: Tagging) -> Rendering:
    """Say how to write: a gain applied again comes with its level, one taken back with none."""
    options, saved, diagnosis = work.options, work.saved, work.diagnosis
    is_undo = saved is not None and saved.undo
    dithers = wants_dither(options.dither, work.audio.info, work.output_format, changed=work.changed)
    return Rendering(
        target=work.target,
        output_format=work.output_format,
        level=level_policy(options, diagnosis, changed=work.changed),
        match_lufs=diagnosis.levels.integrated_lufs,
        dither=dithers and not (is_undo and options.dither == "auto"),
        seed=options.seed,
        overwrite=work.overwrite,
        gain_db=0.0 if is_undo else None,
        earlier_db=earlier_level_db(work.plan, options),
        attach=tagging.attach,
    )


def _both(observe: Observe, writer: GainWriter) -> Observe:
    def observe_and_write(samples: FloatArray, gain_db: FloatArray) -> None:
        observe(samples, gain_db)
        writer.write(gain_db)

    return observe_and_write


def _record(work: Work, level_gain_db: float) -> GainRecord:
    info = work.audio.info
    restored_sha256 = ""
    if isinstance(work.target, Path):
        with open_audio(work.target, headerless(work.output_format)) as output:
            restored_sha256 = samples_digest(output)
    return GainRecord(
        sample_rate=info.sample_rate,
        channels=info.channels,
        frames=info.frames,
        squashed_sha256=samples_digest(work.audio),
        restored_sha256=restored_sha256,
        squashed_subtype=info.subtype,
        level_gain_db=level_gain_db,
        method=work.plan.method,
        version=version("unsquash"),
    )
