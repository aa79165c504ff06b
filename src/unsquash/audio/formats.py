"""What a file is, and which format an output gets."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import soundfile

from unsquash.errors import AudioReadError, OptionError, OutputError, UnsupportedAudioError

BitDepth: TypeAlias = Literal["same", "16", "24", "32f"]

MAX_CHANNELS = 8
SAMPLE_RATES_HZ = (8_000, 384_000)

BYTES_PER_SAMPLE = {"PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
_INTEGER_DEPTHS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "ALAC_24": 24, "ALAC_32": 32, "ALAC_20": 20}
_INTEGER_DEPTHS |= {"PCM_S8": 8, "PCM_U8": 8}
_LOSSY = {"VORBIS", "OPUS", "MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III"}
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
_MAY_BE_CALLED = {("rf64", "wav"), ("opus", "ogg")}  # format, what the extension says
_CAN_HOLD = {
    "mp3": "MP3 holds 1 or 2 channels at 8 to 48 kHz; write .flac or .wav instead",
    "opus": "Opus holds 8, 12, 16, 24 and 48 kHz only; write .flac, .wav or .ogg instead",
    "ogg": "Vorbis holds 8 to 200 kHz; write .flac or .wav instead",
}
_FAMILY = {"RF64": "WAV"}
_FOUR_GIB = 2**32
_HEADROOM = 2**24  # for headers, and for tags that are added later


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioInfo:
    """What a source holds.

    Attributes:
        sample_rate: in Hz, 8 000 to 384 000.
        channels: 1 to 8.
        frames: samples per channel, at least 1.
        container: `WAV`, `RF64`, `W64`, `AIFF`, `CAF`, `FLAC`, `OGG`, `MP3`, … or `ARRAY`.
        subtype: sample type or codec as libsndfile names it: `PCM_16`, `FLOAT`, `VORBIS`, …
        path: the file, None for an array.
    """

    sample_rate: int
    channels: int
    frames: int
    container: str
    subtype: str
    path: Path | None = None

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise AudioReadError(f"{self.name} holds no samples", hint="give a recording that is not empty")
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise UnsupportedAudioError(
                f"{self.name} has {self.channels} channels; unsquash takes 1 to {MAX_CHANNELS}",
                hint="split it first, for example with: sox in.wav out.wav remix 1 2",
            )
        low, high = SAMPLE_RATES_HZ
        if not low <= self.sample_rate <= high:
            raise UnsupportedAudioError(
                f"{self.name} has a sample rate of {self.sample_rate} Hz; unsquash takes {low} to {high} Hz",
                hint="resample it first, for example with: sox in.wav -r 48000 out.wav",
            )

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return "the audio" if self.path is None else f"'{self.path}'"

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate

    @property
    def is_float(self) -> bool:
        """Whether the samples are floats (a lossy codec decodes to floats): no depth, no full scale."""
        return self.subtype in ("FLOAT", "DOUBLE") or self.subtype in _LOSSY

    @property
    def bit_depth(self) -> int | None:
        """Bits of an integer sample; None where `is_float`. Telephone codecs count as 16 bit."""
        return None if self.is_float else _INTEGER_DEPTHS.get(self.subtype, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """What a writer makes.

    Attributes:
        container, subtype: as libsndfile names them.
        sample_rate: in Hz.
        channels: 1 to 8.
        depth_was_asked: the user asked for this sample type, it was not chosen for them.
    """

    container: str
    subtype: str
    sample_rate: int
    channels: int
    depth_was_asked: bool = False

    @property
    def is_float(self) -> bool:
        """Whether samples are stored as floats, so that peaks above full scale survive."""
        return self.subtype in ("FLOAT", "DOUBLE")

    @property
    def is_lossy(self) -> bool:
        """Whether a lossy codec makes the file."""
        return self.subtype in _LOSSY

    @property
    def bit_depth(self) -> int | None:
        """Bits of an integer sample; None for float and lossy formats."""
        return _INTEGER_DEPTHS.get(self.subtype)

    def holds_as_is(self, info: AudioInfo) -> bool:
        """Return whether a copy of the source's file is what was asked for: no conversion is needed.

        A depth that was chosen for headroom, not asked for, is no reason to convert.
        """
        if (_FAMILY.get(info.container, info.container)) != _FAMILY.get(self.container, self.container):
            return False
        if self.subtype == info.subtype:
            return True
        both_integer = info.bit_depth is not None and self.bit_depth is not None
        return both_integer and not self.depth_was_asked and not self.is_lossy


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
        OptionError: unknown format, a depth it cannot hold, or a size past its limit.
        UnsupportedAudioError: it cannot hold this rate or channel count.
    """
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
        if size > _FOUR_GIB - _HEADROOM and target is not None:
            major = _large(major, size)
    chosen = OutputFormat(
        container=major,
        subtype=subtype,
        sample_rate=info.sample_rate,
        channels=info.channels,
        depth_was_asked=bit_depth != "same",
    )
    _probe(chosen, name)
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
            raise OptionError(f"cannot tell a format from {what}", hint=f"use one of {known}, or --format")
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
    if bit_depth != "same":
        return _EXPLICIT_SUBTYPES[bit_depth]
    if name == "flac":
        return "PCM_24"
    if name == "wav" and is_pipe:
        return "FLOAT"
    if info.is_float:
        return "DOUBLE" if info.subtype == "DOUBLE" else "FLOAT"
    return "PCM_32" if info.bit_depth == 32 else "PCM_24"


def _large(container: str, size: int) -> str:
    """Return the container for audio past 4 GiB."""
    if container == "WAV":
        return "RF64"
    if container in ("AIFF", "AU"):
        raise OptionError(
            f"{container} ends at 4 GiB and this output takes {size / 2**30:.1f} GiB",
            hint="write .wav (which becomes RF64), .w64, .caf or .flac",
        )
    return container


def _probe(chosen: OutputFormat, name: str) -> None:
    """Let libsndfile start an encoder in memory: it knows best what it can hold."""
    try:
        with soundfile.SoundFile(
            io.BytesIO(),
            "w",
            samplerate=chosen.sample_rate,
            channels=chosen.channels,
            format=chosen.container,
            subtype=chosen.subtype,
        ):
            pass
    except soundfile.LibsndfileError as error:
        raise UnsupportedAudioError(
            f"{name} cannot hold {chosen.channels} channels at {chosen.sample_rate} Hz",
            hint=_CAN_HOLD.get(name, "write .wav instead"),
        ) from error
    except ValueError as error:
        raise OutputError(f"this build of libsndfile cannot write {name}: {error}") from error
