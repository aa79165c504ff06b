"""What an output says about itself: the input's tags, and what was done to the sound."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

from unsquash.analysis.levels import Levels
from unsquash.audio import (
    TAG_BYTES,
    Attachments,
    AudioInfo,
    OutputFormat,
    complete_sizes,
    copy_file,
    walk_chunks,
)
from unsquash.options import RestoreOptions
from unsquash.plan import HybridInversion, ModelInversion, Plan, SavedGain
from unsquash.tags import Outcome, Pairs, TagCarrier, TagWishes

_CHANNEL_NAMES = {1: "mono", 2: "stereo"}


class Tagging:
    """Gives one output its tags.

    Args:
        path: the input's file.
        info: what it holds.
        output_format: of the output.
        options: what the user wants.
        plan: what is done to the sound.
        part: the first sample of the output in the input, and the one after its last.
        changed: whether samples differ from the input's.
        album: levels of all outputs of the album, if it is part of one.
        into_pipe: whether the output goes into a pipe, where nothing can be added after the samples.
    """

    def __init__(
        self,
        path: Path,
        info: AudioInfo,
        output_format: OutputFormat,
        options: RestoreOptions,
        plan: Plan,
        *,
        part: tuple[int, int],
        changed: bool,
        album: Levels | None = None,
        into_pipe: bool = False,
    ) -> None:
        wishes = TagWishes(keep=options.tags, art=options.art, replaygain=options.replaygain)
        self._carrier = TagCarrier(path, info.container, info.subtype, wishes, walk_chunks, TAG_BYTES)
        self._path = path
        self._info = info
        self._format = output_format
        self._options = options
        self._plan = plan
        self._part = part
        self._changed = changed
        self._album = album
        self._into_pipe = into_pipe

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be carried; complete once the output is."""
        return self._carrier.warnings

    def attach(self, level_gain_db: float, levels: Callable[[], Levels]) -> Attachments:
        """Return what goes into the output beside its samples.

        Args:
            level_gain_db: the constant gain of the output.
            levels: tells the levels of the output, once all of it is written.
        """
        provenance: Pairs = []
        if self._changed and self._options.tags:
            provenance = describe_treatment(self._plan, self._options, level_gain_db)
        container, subtype = self._format.container, self._format.subtype
        return Attachments(
            strings=self._carrier.strings(container, subtype, provenance),
            header_chunks=self._carrier.header_chunks(self._outcome(None), provenance)
            if self._into_pipe and container in ("WAV", "RF64")
            else b"",
            finish=lambda file: self._carrier.write(
                file, container, subtype, self._outcome(levels()), provenance
            ),
        )

    def copy(self, target: Path, levels: Levels, *, overwrite: bool) -> None:
        """Copy the input bit for bit; only tags that the user asked to be otherwise are.

        Args:
            target: the output.
            levels: of the input.
            overwrite: replace an existing target.
        """

        def change_tags(file: BinaryIO) -> None:
            complete_sizes(file, self._info.frames)
            self._carrier.write(file, self._format.container, self._format.subtype, self._outcome(levels), [])

        keeps_all = self._options.tags and self._options.art and not self._options.replaygain
        copy_file(self._path, target, overwrite=overwrite, finish=None if keeps_all else change_tags)
        if self._options.keep_mtime:
            keep_mtime(self._path, target)

    def _outcome(self, levels: Levels | None) -> Outcome:
        is_whole = self._part == (0, self._info.frames)
        channels = _CHANNEL_NAMES.get(self._info.channels, f"{self._info.channels}ch")
        return Outcome(
            sample_rate=self._info.sample_rate,
            start=self._part[0],
            stop=self._part[1],
            is_whole=is_whole,
            changed=self._changed or not is_whole,
            integrated_lufs=None if levels is None else levels.integrated_lufs,
            true_peak_dbtp=None if levels is None else levels.true_peak_dbtp,
            loudness_range_lu=None if levels is None else levels.loudness_range_lu,
            coding=f"A=PCM,F={self._info.sample_rate},W={self._format.bit_depth or 32},"
            f"M={channels},T=unsquash {version('unsquash')}",
            album_lufs=None if self._album is None else self._album.integrated_lufs,
            album_peak_dbtp=None if self._album is None else self._album.true_peak_dbtp,
        )


def describe_treatment(plan: Plan, options: RestoreOptions, level_gain_db: float) -> Pairs:
    """Return fields that say what was done to the sound, so that a library can be searched for it."""
    pairs: Pairs = [("UNSQUASH_VERSION", version("unsquash")), ("UNSQUASH_METHOD", plan.method)]
    for stage in plan.stages:
        if isinstance(stage, ModelInversion | HybridInversion):
            settings = dataclasses.asdict(stage.params)
            words = [f"{name}={value:g}" for name, value in settings.items() if isinstance(value, float)]
            words += [f"{name}={value}" for name, value in settings.items() if isinstance(value, str)]
            pairs.append(("UNSQUASH_PARAMETERS", " ".join(words)))
        elif isinstance(stage, SavedGain):
            pairs.append(("UNSQUASH_GAIN_TAKEN_BACK", "1" if stage.undo else "0"))
        if stage.max_gain_db is not None:
            pairs.append(("UNSQUASH_MAX_GAIN", f"{stage.max_gain_db:g} dB"))
        pairs.append(("UNSQUASH_STRENGTH", f"{options.strength:g}"))
    for model in plan.models:
        from unsquash.weights import digest_of

        pairs.append(("UNSQUASH_MODEL", model))
        pairs.append(("UNSQUASH_MODEL_SHA256", digest_of(model)))
    pairs.append(("UNSQUASH_LEVEL_GAIN", f"{level_gain_db:.4f} dB"))
    return pairs


def keep_mtime(source: Path, target: Path) -> None:
    """Give a file the modification time of another."""
    stat = source.stat()
    os.utime(target, ns=(stat.st_atime_ns, stat.st_mtime_ns))
