"""Which format an output gets, decided before any work."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Literal, TypeAlias

import soundfile

from unsquash.audio.formats import BYTES_PER_SAMPLE, AudioInfo, OutputFormat
from unsquash.errors import OptionError, OutputError

BitDepth: TypeAlias = Literal["same", "16", "24", "32f"]

_EXPLICIT_SUBTYPES = {"16": "PCM_16", "24": "PCM_24", "32f": "FLOAT"}

_CODECS = {"ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"), "mp3": ("MP3", "MPEG_LAYER_III")}
_LOSSLESS = ("wav", "flac", "aiff", "caf", "w64", "rf64", "au", "raw")
_FORMAT_NAMES = (*_LOSSLESS, *_CODECS)
_EXTENSIONS = {
    ".wav": "wav",
    ".wave": "wav",
    ".flac": "flac",
    ".aif": "aiff",
    ".aiff": "aiff",
    ".aifc": "aiff",
    ".caf": "caf",
    ".w64": "w64",
    ".rf64": "rf64",
    ".au": "au",
    ".snd": "au",
    ".raw": "raw",
    ".ogg": "ogg",
    ".oga": "ogg",
    ".opus": "opus",
    ".mp3": "mp3",
}
AUDIO_EXTENSIONS = frozenset(_EXTENSIONS) - {".raw"}
_MAY_BE_CALLED = {("rf64", "wav"), ("opus", "ogg")}  # format, what the extension says
_MP3_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_CODEC_LIMITS: dict[str, tuple[Container[int], int, str]] = {  # rates, channels, hint
    "mp3": (_MP3_RATES_HZ, 2, "MP3 holds 1 or 2 channels at 8 to 48 kHz; write .flac or .wav instead"),
    "opus": (
        (8000, 12000, 16000, 24000, 48000),
        8,
        "Opus holds 8, 12, 16, 24 and 48 kHz only; write .flac, .wav or .ogg instead",
    ),
    "ogg": (range(200_001), 8, "Vorbis holds rates up to 200 kHz; write .flac or .wav instead"),
}
TAG_BYTES = 64 * 2**20
"""What tags that are added to an output later may take; inputs' longer ones stay behind."""
_HEADROOM = TAG_BYTES + 2**20  # for headers, and for what was done to the sound
_SIZE_LIMITS = {"WAV": 2**32 - _HEADROOM, "AIFF": 2**32 - _HEADROOM, "AU": 2**31 - _HEADROOM}


def choose_format(
    info: AudioInfo,
    target: Path | None,
    *,
    container: str | None = None,
    bit_depth: BitDepth = "same",
    frames: int | None = None,
) -> OutputFormat:
    """Choose the format of an output, and refuse before any work what cannot be written.

    The container is `container` (a `--format` name) or follows the extension of `target`; a pipe
    (`target` None) gets 32-bit float WAV unless asked otherwise. With `bit_depth` "same" the depth is the
    greater of the input's and 24 bit, floats stay floats of the same width, and lossy inputs, which decode
    to floats with peaks above full scale, become 32-bit float. FLAC holds at most 24-bit integers, which
    "same" accepts. A `.wav` past 4 GiB becomes RF64 under the same name.

    Args:
        info: the source; its rate and channels are kept.
        target: the output, None for a pipe.
        container: `wav`, `flac`, `aiff`, `caf`, `w64`, `rf64`, `au`, `raw`, `ogg`, `opus` or `mp3`.
        bit_depth: "same", "16", "24" or "32f" (32-bit float).
        frames: length of the output in samples per channel; None: the source's.

    Raises:
        OptionError: unknown format, or a depth, rate, channel count or size that it cannot hold.
    """
    if bit_depth not in ("same", *_EXPLICIT_SUBTYPES):
        raise OptionError(f"no bit depth is called '{bit_depth}'", hint="choose same, 16, 24 or 32f")
    name = _format_name(target, container)
    frames = info.frames if frames is None else frames
    if name in _CODECS:
        if bit_depth != "same":
            raise OptionError(
                f"{name} has no bit depth", hint="leave --bit-depth out, or write .flac or .wav"
            )
        major, subtype = _CODECS[name]
    else:
        major, subtype = name.upper(), _subtype(info, name, bit_depth, is_pipe=target is None)
        size = frames * info.channels * BYTES_PER_SAMPLE[subtype]
        if target is not None:
            major = _large_enough(major, size)
    chosen = OutputFormat(
        container=major,
        subtype=subtype,
        sample_rate=info.sample_rate,
        channels=info.channels,
        depth_was_asked=bit_depth != "same",
        channel_mask=info.channel_mask,
    )
    _require_possible(chosen, name)
    return chosen


def _format_name(target: Path | None, container: str | None) -> str:
    suffix = target.suffix.lower() if target is not None else ""
    by_extension = _EXTENSIONS.get(suffix)
    if container is None:
        if target is None:
            return "wav"
        if by_extension is None:
            known = ", ".join(_EXTENSIONS)
            what = f"the extension '{suffix}'" if suffix else f"an output without extension ('{target.name}')"
            raise OptionError(f"cannot tell a format from {what}", hint=f"let it end in one of {known}")
        return by_extension
    name = container.lower()
    if name not in _FORMAT_NAMES:
        raise OptionError(f"no format is called '{container}'", hint="use one of " + ", ".join(_FORMAT_NAMES))
    if by_extension not in (None, name) and (name, by_extension) not in _MAY_BE_CALLED:
        raise OptionError(
            f"the format {name} contradicts the extension '{suffix}'",
            hint=f"leave --format out, or give the output another extension than '{suffix}'",
        )
    return name


def _subtype(info: AudioInfo, name: str, bit_depth: BitDepth, *, is_pipe: bool) -> str:
    if name == "flac" and bit_depth == "32f":
        raise OptionError("FLAC cannot hold 32-bit float", hint="use --bit-depth 24, or write .wav")
    if bit_depth in _EXPLICIT_SUBTYPES:
        return _EXPLICIT_SUBTYPES[bit_depth]
    if name == "flac":
        return "PCM_24"
    if name == "wav" and is_pipe:
        return "FLOAT"
    if info.is_float:
        return "DOUBLE" if info.subtype == "DOUBLE" else "FLOAT"
    return "PCM_32" if info.bit_depth == 32 else "PCM_24"


def _large_enough(container: str, size: int) -> str:
    """Return the container for `size` bytes of samples."""
    limit = _SIZE_LIMITS.get(container)
    if limit is None or size <= limit:
        return container
    if container == "WAV":
        return "RF64"
    raise OptionError(
        f"{container} ends at {limit / 2**30:.0f} GiB and this output takes {size / 2**30:.1f} GiB",
        hint="write .wav (which becomes RF64), .w64, .caf or .flac",
    )


def _require_possible(chosen: OutputFormat, name: str) -> None:
    """Refuse rates and channel counts that a codec lacks (libsndfile crashes on some of them)."""
    limits = _CODEC_LIMITS.get(name)
    if limits is not None:
        rates_hz, channels, hint = limits
        if chosen.sample_rate not in rates_hz or chosen.channels > channels:
            raise OptionError(
                f"{name} cannot hold {chosen.channels} channels at {chosen.sample_rate} Hz", hint=hint
            )
    if not soundfile.check_format(chosen.container, chosen.subtype):
        raise OutputError(f"this build of libsndfile cannot write {name}", hint="write .flac or .wav instead")
