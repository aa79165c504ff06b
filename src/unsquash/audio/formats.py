"""What a file holds, in and out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from unsquash.errors import AudioReadError, UnsupportedAudioError

MAX_CHANNELS = 8
SAMPLE_RATES_HZ = (8_000, 384_000)

BYTES_PER_SAMPLE = {"PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
_INTEGER_DEPTHS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "ALAC_24": 24, "ALAC_32": 32, "ALAC_20": 20}
_INTEGER_DEPTHS |= {"PCM_S8": 8, "PCM_U8": 8}
_LOSSY = {"VORBIS", "OPUS", "MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III"}
_FAMILY = {"RF64": "WAV"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioInfo:
    """What a source holds.

    Attributes:
        sample_rate: in Hz, 8 000 to 384 000.
        channels: 1 to 8.
        frames: samples per channel, at least 1.
        container: `WAV`, `RF64`, `W64`, `AIFF`, `CAF`, `FLAC`, `OGG`, `MP3`, … or `ARRAY`.
        subtype: sample type or codec as libsndfile names it: `PCM_16`, `FLOAT`, `VORBIS`, …
        path: the file, None for an array; in reports None for a stream, too.
        channel_mask: the loudspeakers that its channels are for, as WAVE_FORMAT_EXTENSIBLE numbers them; None
            where it does not say.
    """

    sample_rate: int
    channels: int
    frames: int
    container: str
    subtype: str
    path: Path | None = None
    channel_mask: int | None = field(default=None, repr=False)

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
        channel_mask: as the source's; WAV and RF64 of more than two channels tell it.
    """

    container: str
    subtype: str
    sample_rate: int
    channels: int
    depth_was_asked: bool = False
    channel_mask: int | None = field(default=None, repr=False)

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

    def rounds(self, info: AudioInfo) -> bool:
        """Return whether samples lose bits that nobody asked to lose: the format has no room for them."""
        if self.bit_depth is None or info.bit_depth is None or self.depth_was_asked:
            return False
        return self.bit_depth < info.bit_depth

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
