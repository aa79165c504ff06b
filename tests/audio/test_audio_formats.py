"""Which format an output gets, and what is refused before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from unsquash.audio import TAG_BYTES, AudioInfo, OutputFormat, choose_format, wants_dither
from unsquash.errors import AudioReadError, OptionError, UnsupportedAudioError


def info(subtype: str = "PCM_16", **fields: Any) -> AudioInfo:
    given = {"sample_rate": 48000, "channels": 2, "frames": 1000, "container": "WAV"} | fields
    return AudioInfo(subtype=subtype, **given)


def chosen(source: AudioInfo, name: str | None, **options: Any) -> tuple[str, str]:
    output = choose_format(source, None if name is None else Path(name), **options)
    assert (output.sample_rate, output.channels) == (source.sample_rate, source.channels)
    return output.container, output.subtype


@pytest.mark.parametrize(
    ("name", "container"),
    [
        ("a.wav", "WAV"),
        ("a.WAVE", "WAV"),
        ("a.w64", "W64"),
        ("a.rf64", "RF64"),
        ("a.aif", "AIFF"),
        ("a.Aiff", "AIFF"),
        ("a.aifc", "AIFF"),
        ("a.caf", "CAF"),
        ("a.flac", "FLAC"),
        ("a.au", "AU"),
        ("a.snd", "AU"),
        ("a.raw", "RAW"),
        ("a.b.c.wav", "WAV"),
    ],
)
def test_container_follows_the_extension(name: str, container: str) -> None:
    assert chosen(info(), name) == (container, "PCM_24")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.ogg", ("OGG", "VORBIS")),
        ("a.oga", ("OGG", "VORBIS")),
        ("a.opus", ("OGG", "OPUS")),
        ("a.mp3", ("MP3", "MPEG_LAYER_III")),
    ],
)
def test_codec_follows_the_extension(name: str, expected: tuple[str, str]) -> None:
    assert chosen(info(), name) == expected


@pytest.mark.parametrize(
    ("source", "in_wav", "in_flac"),
    [
        ("PCM_U8", "PCM_24", "PCM_24"),
        ("PCM_16", "PCM_24", "PCM_24"),
        ("PCM_24", "PCM_24", "PCM_24"),
        ("PCM_32", "PCM_32", "PCM_24"),
        ("ALAC_32", "PCM_32", "PCM_24"),
        ("ULAW", "PCM_24", "PCM_24"),
        ("FLOAT", "FLOAT", "PCM_24"),
        ("DOUBLE", "DOUBLE", "PCM_24"),
        ("VORBIS", "FLOAT", "PCM_24"),
        ("MPEG_LAYER_III", "FLOAT", "PCM_24"),
    ],
)
def test_same_depth_never_loses_what_the_container_can_hold(source: str, in_wav: str, in_flac: str) -> None:
    for name in ("a.wav", "a.w64", "a.caf", "a.aiff", "a.rf64", "a.au"):
        assert chosen(info(source), name)[1] == in_wav
    assert chosen(info(source), "a.flac")[1] == in_flac


@pytest.mark.parametrize(("depth", "subtype"), [("16", "PCM_16"), ("24", "PCM_24"), ("32f", "FLOAT")])
def test_depth_on_request(depth: Any, subtype: str) -> None:
    assert chosen(info("PCM_32"), "a.wav", bit_depth=depth)[1] == subtype


def test_pipe_gets_float_wav_unless_asked_otherwise() -> None:
    assert chosen(info("PCM_16"), None) == ("WAV", "FLOAT")
    assert chosen(info("PCM_16"), None, container="wav") == ("WAV", "FLOAT")
    assert chosen(info("PCM_16"), None, container="flac") == ("FLAC", "PCM_24")
    assert chosen(info("PCM_16"), None, bit_depth="16") == ("WAV", "PCM_16")
    assert chosen(info(frames=2**33), None) == ("WAV", "FLOAT")


def test_explicit_container_wins_over_a_strange_name() -> None:
    assert chosen(info(), "a.xyz", container="FLAC")[0] == "FLAC"
    assert chosen(info(), "a", container="caf")[0] == "CAF"
    assert chosen(info(), "a.wav", container="rf64")[0] == "RF64"
    assert chosen(info(), "a.ogg", container="opus") == ("OGG", "OPUS")


def test_size_is_worked_out_before_the_work() -> None:
    frames_of_4_gib = 2**32 // (2 * 3)
    assert chosen(info(), "a.wav", frames=frames_of_4_gib * 9 // 10)[0] == "WAV"
    assert chosen(info(), "a.wav", frames=frames_of_4_gib)[0] == "RF64"
    assert chosen(info(frames=frames_of_4_gib), "a.wav")[0] == "RF64"
    for name in ("a.w64", "a.caf", "a.flac", "a.raw"):
        assert chosen(info(frames=2**40), name)[0] == name[2:].upper()
    for name in ("a.aiff", "a.au"):
        with pytest.raises(OptionError, match="ends at") as caught:
            chosen(info(frames=frames_of_4_gib), name)
        assert "RF64" in caught.value.hint


@pytest.mark.parametrize("container", ["WAV", "AIFF"])
def test_the_largest_output_has_room_for_all_tags(container: str) -> None:
    def at_most(size: int) -> bool:
        try:
            return chosen(info(), f"a.{container.lower()}", frames=size // 6)[0] == container
        except OptionError:
            return False

    assert not at_most(2**32 - TAG_BYTES)
    assert at_most(2**32 - TAG_BYTES - 2**21)


@pytest.mark.parametrize(
    ("name", "options", "message", "hint"),
    [
        ("a.xyz", {}, "extension '.xyz'", ".flac"),
        ("a", {}, "without extension", ".flac"),
        ("a.m4a", {}, "extension '.m4a'", ".wav"),
        ("a.wav.", {}, "without extension|extension", ".flac"),
        ("a.wav", {"container": "mp4"}, "no format is called 'mp4'", "flac"),
        ("a.flac", {"container": "wav"}, "contradicts", "--format"),
        ("a.flac", {"bit_depth": "32f"}, "FLAC cannot hold 32-bit float", "24"),
        ("a.mp3", {"bit_depth": "24"}, "no bit depth", "--bit-depth"),
        ("a.opus", {"bit_depth": "16"}, "no bit depth", "--bit-depth"),
        ("a.wav", {"bit_depth": "12"}, "no bit depth is called '12'", "24"),
    ],
)
def test_impossible_wishes(name: str, options: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        choose_format(info(), Path(name), **options)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("a.mp3", {"sample_rate": 96000}),
        ("a.mp3", {"channels": 6}),
        ("a.opus", {"sample_rate": 44100}),
        ("a.ogg", {"sample_rate": 384000}),
    ],
)
def test_codecs_refuse_what_they_cannot_hold(name: str, fields: dict[str, int]) -> None:
    with pytest.raises(OptionError, match="cannot hold") as caught:
        choose_format(info(**fields), Path(name))
    assert ".flac" in caught.value.hint


def test_info_refuses_what_unsquash_cannot_process() -> None:
    with pytest.raises(UnsupportedAudioError, match="9 channels"):
        info(channels=9)
    with pytest.raises(UnsupportedAudioError, match="7999 Hz"):
        info(sample_rate=7999)
    with pytest.raises(UnsupportedAudioError, match="768000 Hz"):
        info(sample_rate=768000)
    with pytest.raises(AudioReadError, match="no samples"):
        info(frames=0)
    assert info(sample_rate=384000, channels=8).duration_s == 1000 / 384000


def test_a_copy_does_where_nothing_needs_converting() -> None:
    def output(source: AudioInfo, name: str, **options: Any) -> bool:
        return choose_format(source, Path(name), **options).holds_as_is(source)

    assert output(info("PCM_16"), "a.wav")
    assert output(info("PCM_16"), "a.wav", bit_depth="16")
    assert output(info("FLOAT", container="RF64"), "a.wav")
    assert output(info("MPEG_LAYER_III", container="MP3"), "a.mp3")
    assert output(info("PCM_16", container="FLAC"), "a.flac")
    assert not output(info("PCM_16"), "a.wav", bit_depth="24")
    assert not output(info("PCM_24"), "a.wav", bit_depth="16")
    assert not output(info("FLOAT"), "a.wav", bit_depth="24")
    assert not output(info("PCM_16"), "a.flac")
    assert not output(info("VORBIS", container="OGG"), "a.opus")
    assert not output(info("PCM_16"), "a.ogg")


@pytest.mark.parametrize(
    ("mode", "source", "subtype", "changed", "expected"),
    [
        ("none", "PCM_24", "PCM_16", True, False),
        ("tpdf", "PCM_16", "PCM_24", False, True),
        ("tpdf", "PCM_16", "FLOAT", True, False),
        ("auto", "PCM_24", "PCM_16", False, True),
        ("auto", "PCM_16", "PCM_16", False, False),
        ("auto", "PCM_16", "PCM_16", True, True),
        ("auto", "PCM_16", "PCM_24", True, False),
        ("auto", "FLOAT", "PCM_24", False, True),
        ("auto", "VORBIS", "PCM_16", False, True),
        ("auto", "PCM_24", "MPEG_LAYER_III", True, False),
    ],
)
def test_dither_is_for_reduced_depth(
    mode: Any, source: str, subtype: str, changed: bool, expected: bool
) -> None:
    output = OutputFormat(container="WAV", subtype=subtype, sample_rate=48000, channels=2)
    assert wants_dither(mode, info(source), output, changed=changed) is expected


def test_unknown_dither() -> None:
    output = OutputFormat(container="WAV", subtype="PCM_16", sample_rate=48000, channels=2)
    with pytest.raises(OptionError, match="no dither is called 'shaped'"):
        wants_dither("shaped", info(), output, changed=True)  # type: ignore[arg-type]
