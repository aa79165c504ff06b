"""What a user may ask of `restore`. Imports nothing heavy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

from unsquash.errors import OptionError

Method: TypeAlias = Literal["auto", "neural", "model", "none"]
Link: TypeAlias = Literal["max", "mean", "rms", "off"]
LevelPolicy: TypeAlias = Literal["auto", "peak-safe", "keep", "match"]
BitDepth: TypeAlias = Literal["same", "16", "24", "32f"]
Dither: TypeAlias = Literal["auto", "tpdf", "none"]

DEFAULT_MODEL = "gain-small"
PROFILE_MODEL = "profile-small"
PUBLISHED = "published"
ESTIMATED_GAIN_CAP_DB = 12.0
LUFS_RANGE = (-70.0, 0.0)
_LATEST = 1e12
_TIMES = "write 90, 1:30, 1:30.5 or 44100s (samples)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A point in time, in seconds or in samples, as the user wrote it."""

    value: float
    unit: Literal["s", "samples"] = "s"

    def __post_init__(self) -> None:
        if not 0.0 <= self.value <= _LATEST:
            raise OptionError(f"{self.value:g} {self.unit} is not a time", hint=_TIMES)

    def in_samples(self, sample_rate: int) -> int:
        """Return the position in samples at `sample_rate` Hz."""
        return int(self.value) if self.unit == "samples" else round(self.value * sample_rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOptions:
    """Everything that changes what `restore` writes.

    Attributes:
        method: which engine; `auto` may choose none.
        profile: a named compressor profile (`five/A`, `ffmpeg-acompressor`, …), for `model`.
        settings: compressor settings that override the profile's, by user-facing name.
        model: name of a shipped or downloaded network, or the path of a `.safetensors` file.
        profile_set: compressors to look for: `published`, `five`, `thirty`, the path of a CSV file, or `none`
            to look for no compressor at all.
        strength: 0 to 1, scales the gain in dB; 0 is an exact copy.
        max_gain_db: upper limit of the applied gain. None: 12 dB for an estimated gain, 24 dB where the noise
            proves that a compressor made it or the network hears nearly the same, no limit for the inversion
            of a known one.
        link: channels share one gain (`max`, `mean`, `rms` of their levels) or not (`off`). None: as the
            profile says, `max` otherwise.
        level: `auto` is `peak-safe` for integer outputs and `keep` for float ones; a number is LUFS.
        bit_depth: `same` never falls below the input's depth, nor below 24 bit.
        container: output format; None follows the output's extension.
        dither: TPDF dither where the depth is reduced.
        start, end: restore only this part; `Position`s.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        seed: of the dither.
        tags: carry tags over, and add fields that say what was done.
        art: carry pictures over.
        replaygain: add fresh ReplayGain (Opus: R128) fields.
        keep_mtime: give the output the input's modification time.
        input_format: what headerless samples are, such as `s16le:44100:2`; None: the header says it.
        apply_gain: a gain file; its gain is applied instead of any other, scaled by `strength`.
        undo: take that gain back.
        preview: restore only the part of this length that gets the most gain.
    """

    method: Method = "auto"
    profile: str | None = None
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    model: str = DEFAULT_MODEL
    profile_set: str = PUBLISHED
    strength: float = 1.0
    max_gain_db: float | None = None
    link: Link | None = None
    level: LevelPolicy | float = "auto"
    bit_depth: BitDepth = "same"
    container: str | None = None
    dither: Dither = "auto"
    start: Position | None = None
    end: Position | None = None
    device: str = "auto"
    seed: int = 0
    tags: bool = True
    art: bool = True
    replaygain: bool = False
    keep_mtime: bool = False
    input_format: str | None = None
    apply_gain: Path | None = None
    undo: bool = False
    preview: Position | None = None

    def __post_init__(self) -> None:
        _one_of("method", self.method, get_args(Method))
        _one_of("bit depth", self.bit_depth, get_args(BitDepth))
        _one_of("dither", self.dither, get_args(Dither))
        check_link(self.link)
        check_level(self.level)
        if not 0.0 <= self.strength <= 1.0:
            raise OptionError(
                f"strength {self.strength} is out of range", hint="0 leaves the file as it is, 1 is full"
            )
        if self.max_gain_db is not None and not 0.0 <= self.max_gain_db <= 120.0:
            raise OptionError(f"max gain {self.max_gain_db} dB is out of range", hint="give 0 to 120")
        if re.fullmatch(r"auto|cpu|cuda(:\d+)?|mps", self.device) is None:
            raise OptionError(f"no device is called '{self.device}'", hint="auto, cpu, cuda, cuda:0 or mps")
        described = self.profile is not None or bool(self.settings)
        if self.method == "model" and not described:
            raise OptionError(
                "the model-based method needs to know the compressor",
                hint="name it with --profile (see 'unsquash presets list') or describe it with --set",
            )
        check_seed(self.seed)
        for name, kind in (
            ("start", Position),
            ("end", Position),
            ("preview", Position),
            ("apply_gain", Path),
        ):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise OptionError(f"{name} is {value!r}", hint=f"give a {kind.__name__}")
        self._check_saved_gain(described=described)
        if self.preview == Position(value=0.0):
            raise OptionError("a preview of nothing is impossible", hint="give 30, for example")
        if self.preview is not None and (self.start is not None or self.end is not None):
            raise OptionError("a preview chooses its part itself", hint="leave --start and --end out")
        if self.method in ("neural", "none") and described:
            raise OptionError(
                f"a profile means nothing to the method '{self.method}'",
                hint="use --method model, or leave --profile out",
            )

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read beside the recording."""
        names = (self.model, self.profile_set, self.apply_gain)
        return tuple(Path(name) for name in names if name is not None and _is_file(Path(name)))

    def part(self, sample_rate: int, frames: int) -> tuple[int, int]:
        """Return the wanted part of a recording, its first sample and the one after its last.

        Of a preview only the length is known yet.

        Raises:
            OptionError: nothing lies in it.
        """
        if self.preview is not None:
            length = self.preview.in_samples(sample_rate)
            if length == 0:
                raise OptionError("a preview needs a sample at least", hint="give 30, for example")
            return 0, min(frames, length)
        start = 0 if self.start is None else self.start.in_samples(sample_rate)
        stop = frames if self.end is None else min(frames, self.end.in_samples(sample_rate))
        if not 0 <= start < stop:
            length_s = frames / sample_rate
            raise OptionError(
                f"nothing lies between start and end: the recording lasts {length_s:.3f} s",
                hint="choose a start before the end, and before the recording's",
            )
        return start, stop

    def _check_saved_gain(self, *, described: bool) -> None:
        if self.undo and self.apply_gain is None:
            raise OptionError("there is nothing to undo", hint="name the gain with --apply-gain FILE")
        if self.apply_gain is not None and (self.method != "auto" or described):
            raise OptionError("a saved gain needs no method", hint="leave --method, --profile and --set out")
        is_partial = not (self.start is None and self.end is None and self.preview is None)
        if self.undo and (is_partial or self.strength != 1.0 or self.max_gain_db is not None):
            raise OptionError(
                "a gain is taken back as a whole", hint="leave --strength, --max-gain, --start and --end out"
            )
        if self.undo and self.level not in ("auto", "keep"):
            raise OptionError("with a gain its level is taken back, too", hint="leave --level out")


def check_level(level: LevelPolicy | float) -> None:
    """Refuse a level that is none.

    Raises:
        OptionError: no policy is called so, or the loudness is out of range.
    """
    if isinstance(level, str):
        _one_of("level", level, get_args(LevelPolicy))
    elif not LUFS_RANGE[0] <= level <= LUFS_RANGE[1]:
        raise OptionError(f"level {level} LUFS is out of range", hint="give -70 to 0, such as --level -14")


def check_link(link: str | None) -> None:
    """Refuse what is no way for channels to share a gain.

    Raises:
        OptionError: no such way is known.
    """
    if link is not None:
        _one_of("link", link, get_args(Link))


def check_seed(seed: int) -> int:
    """Refuse what is no seed.

    Raises:
        OptionError: it is negative.
    """
    if seed < 0:
        raise OptionError(f"{seed} is no seed", hint="give 0 or more")
    return seed


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # too long to be a file's name
        return False


def _one_of(what: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise OptionError(f"no {what} is called '{value}'", hint="choose one of " + ", ".join(known))


def is_position(text: str) -> bool:
    """Return whether a word is written like a time."""
    return re.fullmatch(r"\d+s|(\d+:){0,2}(\d+(\.\d*)?|\.\d+)", text) is not None


def parse_position(text: str) -> Position:
    """Read `90`, `1:30`, `1:02:03.5` (seconds, minutes, hours) or `44100s` (samples).

    Example:
        >>> parse_position("1:30.5").value
        90.5
        >>> parse_position("44100s")
        Position(value=44100.0, unit='samples')
    """
    if not is_position(text):
        raise OptionError(f"'{text}' is not a time", hint=_TIMES)
    if text.endswith("s"):
        return Position(value=float(text[:-1]), unit="samples")
    value = 0.0
    for part in text.split(":"):
        value = value * 60.0 + float(part)
    return Position(value=value)


def parse_settings(pairs: Iterable[str]) -> dict[str, str]:
    """Read `name=value` pairs, several of which may be joined by commas.

    Example:
        >>> parse_settings(["threshold=-20,ratio=4", "attack=10"])
        {'threshold': '-20', 'ratio': '4', 'attack': '10'}
    """
    settings: dict[str, str] = {}
    for pair in (part for text in pairs for part in text.split(",") if part):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise OptionError(f"'{pair}' is not a setting", hint="write --set threshold=-20,ratio=4")
        settings[name.strip()] = value.strip()
    return settings


def parse_level(text: str) -> LevelPolicy | float:
    """Read a level policy or a loudness target in LUFS.

    Example:
        >>> parse_level("-14")
        -14.0
    """
    for policy in get_args(LevelPolicy):
        if text == policy:
            return text  # type: ignore[return-value]
    try:
        return float(text)
    except ValueError:
        raise OptionError(
            f"no level is called '{text}'",
            hint="choose peak-safe, keep or match, or give a loudness such as -14",
        ) from None
