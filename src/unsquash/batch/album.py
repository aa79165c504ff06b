"""An album as one recording: one diagnosis, one level, and nothing lost between its tracks.

Tracks of the same rate and channel count that follow each other form a stretch, which runs through the
stages as one stream; its output is cut at the tracks' boundaries. So what was gapless stays gapless.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import groupby

from unsquash.analysis.diagnosis import analyze
from unsquash.analysis.levels import LevelsMeter
from unsquash.audio import (
    AudioInfo,
    OutputFormat,
    check_separate,
    check_target,
    choose_format,
    open_audio,
    wants_dither,
)
from unsquash.batch.jobs import Job
from unsquash.batch.joined import DividedObserver, JoinedSource, cut_stream
from unsquash.batch.pooling import fit_to_stretch, pool_diagnoses, pool_levels
from unsquash.options import LevelPolicy, RestoreOptions
from unsquash.pipeline import FileRestoration
from unsquash.plan import make_plan, needs_network
from unsquash.rendering import (
    Progress,
    Rendering,
    fill_spool,
    level_gain_db,
    level_policy,
    open_spool,
    read_spool,
    render,
    shifted,
)
from unsquash.stages import GainObserver, judge_for, network_on, restored_blocks
from unsquash.tagging import Tagging, keep_mtime
from unsquash.units import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One track: what is to be done, what it holds, what it becomes."""

    job: Job
    info: AudioInfo
    output_format: OutputFormat


def restore_album(
    jobs: Sequence[Job], options: RestoreOptions, progress: Progress, *, dry_run: bool = False
) -> list[FileRestoration]:
    """Restore tracks, in their order, as one recording; return what became of each.

    Args:
        jobs: the tracks.
        options: what is wanted; `start` and `end` must be None.
        progress: called with `(phase, samples done, samples in all)` of the whole album.
        dry_run: examine and plan only.

    Raises:
        UnsquashError: as `restore_file`; tracks that were complete by then stay.
    """
    tracks = [_examine(job, options, dry_run=dry_run) for job in jobs]
    stretches = [tuple(same) for _, same in groupby(tracks, key=_layout)]
    with ExitStack() as stack:
        sources = [
            stack.enter_context(closing(JoinedSource([track.info for track in stretch])))
            for stretch in stretches
        ]
        album = _Album(stretches, sources, options, progress)
        if dry_run:
            return [album.report(track, status="planned") for track in tracks]
        if album.is_left_alone:
            return [album.carry_over(track) for track in tracks]
        return album.restore(stack)


class _Album:
    def __init__(
        self,
        stretches: Sequence[tuple[Track, ...]],
        sources: Sequence[JoinedSource],
        options: RestoreOptions,
        progress: Progress,
    ) -> None:
        self.options = options
        self._stretches = stretches
        self._sources = sources
        self._total = sum(source.info.frames for source in sources)
        self._progress = progress
        self._net = network_on(options.device, options.model) if needs_network(options) else None
        judge = judge_for(self._net, options)
        done = 0
        self._found = []
        for source in sources:
            self._found.append(analyze(source, net=judge, progress=self._onward("analyze", done)))
            done += source.info.frames
        infos = (source.info for source in sources)
        self._diagnosis = pool_diagnoses(list(zip(infos, self._found, strict=True)))
        self._levels = self._diagnosis.levels
        self.plan = make_plan(self._diagnosis, options)

    def restore(self, stack: ExitStack) -> list[FileRestoration]:
        """Run the stages over every stretch, and cut what comes out into tracks."""
        observers = [[GainObserver() for _ in stretch] for stretch in self._stretches]
        streams = [
            restored_blocks(
                source,
                *fit_to_stretch(self.plan, self._diagnosis, own, source.info.channels),
                self.options,
                self._net,
                0,
                source.info.frames,
                DividedObserver([track.info.frames for track in stretch], watching).observe,
            )
            for source, own, stretch, watching in zip(
                self._sources, self._found, self._stretches, observers, strict=True
            )
        ]
        phase, gain_db = "restore", 0.0
        remarks: tuple[str, ...] = ()
        if self._policy != "keep" or self.options.replaygain:
            gain_db, remarks, streams = self._common_level(streams, stack)
            phase = "write"
        restorations = []
        done = 0
        for stretch, stream, watching in zip(self._stretches, streams, observers, strict=True):
            lengths = [track.info.frames for track in stretch]
            for track, observer, blocks in zip(stretch, watching, cut_stream(stream, lengths), strict=True):
                gain = observer if self.plan.stages else None
                progress = self._onward(phase, done)
                restorations.append(self._write(track, blocks, gain_db, remarks, gain, progress))
                done += track.info.frames
        return restorations

    def carry_over(self, track: Track) -> FileRestoration:
        """Copy a track that needs nothing, or convert it."""
        job = track.job
        if not track.output_format.holds_as_is(track.info):
            with open_audio(job.source) as audio:
                return self._write(track, audio.blocks(), 0.0, (), None, None)
        tagging = self._tagging(track)
        with open_audio(job.source) as audio:
            levels = analyze(audio).levels if self.options.replaygain else self._diagnosis.levels
        tagging.copy(job.target, levels, overwrite=job.overwrite)
        report = self.report(track, status="unchanged")
        return replace(report, warnings=report.warnings + tagging.warnings)

    def _write(
        self,
        track: Track,
        blocks: Iterator[FloatArray],
        gain_db: float,
        remarks: tuple[str, ...],
        observer: GainObserver | None,
        progress: Progress | None,
    ) -> FileRestoration:
        """Write one track; `observer` has seen its gain by then."""
        tagging = self._tagging(track)
        rendering = Rendering(
            target=track.job.target,
            output_format=track.output_format,
            level="keep",
            match_lufs=None,
            dither=wants_dither(self.options.dither, track.info, track.output_format, changed=self._changed),
            seed=self.options.seed,
            overwrite=track.job.overwrite,
            gain_db=gain_db,
            attach=tagging.attach,
        )
        rendered = render(blocks, rendering, frames=track.info.frames, progress=progress)
        if self.options.keep_mtime:
            keep_mtime(track.job.source, track.job.target)
        report = self.report(track, status="restored" if self._changed else "unchanged")
        return replace(
            report,
            gain=None if observer is None else observer.summary(),
            level_gain_db=gain_db,
            levels=rendered.levels,
            warnings=report.warnings + remarks + tagging.warnings,
        )

    def _tagging(self, track: Track) -> Tagging:
        return Tagging(
            track.job.source,
            track.info,
            track.output_format,
            self.options,
            self.plan,
            part=(0, track.info.frames),
            changed=self._changed,
            album=self._levels,
        )

    def report(self, track: Track, *, status: str) -> FileRestoration:
        """Return what is to be told of a track."""
        return FileRestoration(
            input=str(track.job.source),
            output=str(track.job.target),
            status=status,
            source=track.info,
            output_format=track.output_format,
            diagnosis=self._diagnosis,
            plan=self.plan,
            gain=None,
            level_gain_db=0.0,
            levels=None,
            warnings=self.plan.warnings,
        )

    @property
    def is_left_alone(self) -> bool:
        """Whether every track is to be copied, or converted as it is."""
        if self._changed:
            return False
        return self._policy == "keep" or all(
            track.output_format.holds_as_is(track.info) for track in self._tracks()
        )

    @property
    def _changed(self) -> bool:
        return bool(self.plan.stages) or not isinstance(self.options.level, str)

    @property
    def _policy(self) -> LevelPolicy | float:
        policy = level_policy(self.options, self._diagnosis, changed=self._changed)
        if policy != "auto":
            return policy
        return "keep" if self._all_float() else "peak-safe"

    def _tracks(self) -> Iterator[Track]:
        return (track for stretch in self._stretches for track in stretch)

    def _all_float(self) -> bool:
        return all(track.output_format.is_float for track in self._tracks())

    def _common_level(
        self, streams: Sequence[Iterator[FloatArray]], stack: ExitStack
    ) -> tuple[float, tuple[str, ...], list[Iterator[FloatArray]]]:
        """Keep the streams until the loudest moment of the album is known; return its gain, and them."""
        levels, spools = [], []
        done = 0
        for source, stretch, stream in zip(self._sources, self._stretches, streams, strict=True):
            meter = LevelsMeter(source.info.sample_rate, source.info.channels)
            spool = stack.enter_context(open_spool(stretch[0].job.target))
            progress = self._onward("restore", done)
            fill_spool(spool, _metered(stream, meter, progress))
            levels.append((source.info.duration_s, meter.result()))
            spools.append(spool)
            done += source.info.frames
        pooled, policy = pool_levels(levels), self._policy
        gain_db = 0.0
        remarks: tuple[str, ...] = ()
        if policy != "keep":
            input_lufs = self._diagnosis.levels.integrated_lufs
            gain_db, remarks = level_gain_db(policy, pooled, input_lufs, self._all_float())
        self._levels = shifted(pooled, gain_db)
        kept: list[Iterator[FloatArray]] = [
            (block for _, block in read_spool(spool, source.info.channels))
            for spool, source in zip(spools, self._sources, strict=True)
        ]
        return gain_db, remarks, kept

    def _onward(self, phase: str, before: int) -> Progress:
        """Return a progress function for a part that begins after `before` samples of the album."""
        return lambda _phase, done, _total: self._progress(phase, before + done, self._total)


def _examine(job: Job, options: RestoreOptions, *, dry_run: bool) -> Track:
    with open_audio(job.source) as audio:
        info = audio.info
    output_format = choose_format(
        info, job.target, container=options.container, bit_depth=options.bit_depth, frames=info.frames
    )
    if not dry_run:
        check_separate(job.source, job.target)
        check_target(job.target, overwrite=job.overwrite)
    return Track(job=job, info=info, output_format=output_format)


def _layout(track: Track) -> tuple[int, int]:
    return track.info.sample_rate, track.info.channels


def _metered(blocks: Iterable[FloatArray], meter: LevelsMeter, progress: Progress) -> Iterator[FloatArray]:
    done = 0
    for block in blocks:
        meter.push(block)
        done += block.shape[1]
        progress("restore", done, done)
        yield block
