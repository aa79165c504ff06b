"""The forward direction: compress and limit, to make material whose original is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from unsquash.audio import (
    ArraySource,
    AudioInfo,
    AudioSource,
    OutputFormat,
    check_separate,
    check_target,
    choose_format,
    open_audio,
    wants_dither,
)
from unsquash.dsp.loudness import LoudnessMeter
from unsquash.errors import OptionError, memory_errors
from unsquash.options import BitDepth, Dither, LevelPolicy, Link, check_level, check_link, check_seed
from unsquash.plan import describe_compressor
from unsquash.rendering import Progress, Rendered, Rendering, render
from unsquash.units import FloatArray, db_to_linear

if TYPE_CHECKING:
    from unsquash.dsp.compressor import CompressorParams


@dataclass(frozen=True, slots=True, kw_only=True)
class SquashOptions:
    """What to do to a recording, in this order: drive, compressor, limiter.

    Attributes:
        drive_db: constant gain before everything.
        profile: a named compressor profile; None with no settings for no compressor.
        settings: compressor settings that override the profile's, by user-facing name.
        link: as in `RestoreOptions`.
        ceiling_db: the limiter's ceiling in dBFS; None for no limiter.
        lookahead_ms, release_ms: of the limiter.
    """

    drive_db: float = 0.0
    profile: str | None = None
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    link: Link | None = None
    ceiling_db: float | None = None
    lookahead_ms: float = 5.0
    release_ms: float = 50.0

    def __post_init__(self) -> None:
        if not -60.0 <= self.drive_db <= 60.0:
            raise OptionError(f"drive {self.drive_db} dB is out of range", hint="give -60 to 60")
        check_link(self.link)

    def compressor(self) -> CompressorParams | None:
        """Return the compressor asked for, if any.

        Raises:
            OptionError: the profile or a setting is unknown or out of range.
        """
        if self.profile is None and not self.settings:
            return None
        return describe_compressor(self.profile, self.settings, self.link)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSquash:
    """What `squash_file` did."""

    input: str
    output: str
    output_format: OutputFormat
    compressor: CompressorParams | None
    level_gain_db: float
    warnings: tuple[str, ...]


@memory_errors()
def squash(samples: FloatArray, sample_rate: int, options: SquashOptions) -> FloatArray:
    """Compress and limit an array.

    Shape:
        samples: `(C, T)` or `(T,)`; result as samples, delayed by nothing.

    Raises:
        InputError: the samples or options cannot be used.
    """
    samples = np.asarray(samples)
    source = ArraySource(samples, sample_rate)
    blocks = list(squashed_blocks(source.blocks(), source.info, options))
    squashed: FloatArray = np.concatenate(blocks, axis=1).astype(samples.dtype, copy=False)
    return squashed.reshape(samples.shape)


@memory_errors()
def squash_file(
    source: str | Path,
    target: str | Path,
    options: SquashOptions,
    *,
    level: LevelPolicy | float = "auto",
    bit_depth: BitDepth = "same",
    dither: Dither = "auto",
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FileSquash:
    """Compress and limit a file of any length.

    Raises:
        InputError: the input or an option cannot be used.
        OutputError: the target exists or cannot be written.
    """
    source, target = Path(source), Path(target)
    check_seed(seed)
    check_level(level)
    with open_audio(source) as audio:
        info = audio.info
        output_format = choose_format(info, target, container=None, bit_depth=bit_depth, frames=info.frames)
        check_separate(source, target)
        check_target(target, overwrite=overwrite)
        rendering = Rendering(
            target=target,
            output_format=output_format,
            level=level,
            match_lufs=_integrated_lufs(audio) if level == "match" else None,
            dither=wants_dither(dither, info, output_format, changed=True),
            seed=seed,
            overwrite=overwrite,
        )
        blocks = squashed_blocks(audio.blocks(), info, options)
        rendered: Rendered = render(blocks, rendering, frames=info.frames, progress=progress)
    return FileSquash(
        input=str(source),
        output=str(target),
        output_format=output_format,
        compressor=options.compressor(),
        level_gain_db=rendered.level_gain_db,
        warnings=rendered.warnings,
    )


def squashed_blocks(
    blocks: Iterable[FloatArray], info: AudioInfo, options: SquashOptions
) -> Iterator[FloatArray]:
    """Yield the squashed stream: as many samples as came in, without delay.

    Shape:
        blocks: `(C, t)` each.
    """
    if options.drive_db != 0.0:
        factor = db_to_linear(options.drive_db)
        blocks = (block * factor for block in blocks)
    params = options.compressor()
    if params is not None:
        blocks = _compressed(blocks, info.sample_rate, params)
    if options.ceiling_db is not None:
        blocks = _limited(blocks, info, options, options.ceiling_db)
    yield from blocks


def _integrated_lufs(source: AudioSource) -> float | None:
    meter = LoudnessMeter(source.info.sample_rate, source.info.channels)
    for block in source.blocks():
        meter.push(block)
    return meter.integrated_lufs()


def _compressed(
    blocks: Iterable[FloatArray], sample_rate: int, params: CompressorParams
) -> Iterator[FloatArray]:
    from unsquash.dsp.compressor import compress

    state = None
    for block in blocks:
        compressed = compress(block, sample_rate, params, state)
        state = compressed.state
        yield compressed.samples


def _limited(
    blocks: Iterable[FloatArray], info: AudioInfo, options: SquashOptions, ceiling_db: float
) -> Iterator[FloatArray]:
    from unsquash.dsp.limiter import Limiter, LimiterParams

    params = LimiterParams(
        ceiling_db=ceiling_db,
        lookahead_ms=options.lookahead_ms,
        hold_ms=0.0,
        release_ms=options.release_ms,
        link=options.link != "off",
    )
    limiter = Limiter(params, info.sample_rate, info.channels)
    for block in blocks:
        yield limiter.push(block)
    yield limiter.finish()
