"""Reading: positions exact to the sample, and every kind of bad file."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unsquash.audio import ArraySource, OutputFormat, open_audio, open_writer
from unsquash.errors import AudioReadError, InputError, OptionError, UnsupportedAudioError

FRAMES = 100_123
CODECS = {
    "flac": ("FLAC", "PCM_24"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "adpcm": ("WAV", "IMA_ADPCM"),
    "wav": ("WAV", "PCM_16"),
}
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")


def noise(channels: int = 2, frames: int = FRAMES) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((channels, frames)) * 0.1


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same noise in every codec, at 48 kHz."""
    folder = tmp_path_factory.mktemp("encoded")
    paths = {}
    for name, (container, subtype) in CODECS.items():
        paths[name] = folder / name
        if name == "adpcm":
            soundfile.write(paths[name], noise().T, 48000, subtype, format=container)
            continue
        output = OutputFormat(container=container, subtype=subtype, sample_rate=48000, channels=2)
        with open_writer(paths[name], output) as writer:
            writer.write(noise())
    return paths


def ffmpeg(*arguments: object, **keywords: object) -> bytes:
    command = ["ffmpeg", "-nostdin", "-y", "-loglevel", "error", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True).stdout


def assert_positions_are_exact(path: Path, *, equal: bool = True) -> None:
    with open_audio(path) as audio:
        whole = np.concatenate(list(audio.blocks()), axis=1)
        assert whole.shape[1] == audio.info.frames
        generator = np.random.default_rng(0)
        starts = [*generator.integers(0, audio.info.frames - 500, 25), 0, 1, audio.info.frames - 500]
        for start in map(int, starts):
            np.testing.assert_array_equal(audio.read(start, start + 500), whole[:, start : start + 500])
        # two iterations that take turns do not disturb each other
        first, second = audio.blocks(0, 9000, 3000), audio.blocks(50_000, 59_000, 3000)
        for step in range(3):
            np.testing.assert_array_equal(next(first), whole[:, step * 3000 :][:, :3000])
            np.testing.assert_array_equal(next(second), whole[:, 50_000 + step * 3000 :][:, :3000])


@pytest.mark.parametrize("name", CODECS)
def test_random_access_equals_sequential_decoding(encoded: dict[str, Path], name: str) -> None:
    assert_positions_are_exact(encoded[name])


@needs_ffmpeg
@pytest.mark.parametrize(
    "options",
    [
        ("-c:a", "flac"),
        ("-c:a", "libvorbis", "-f", "ogg"),
        ("-c:a", "libopus", "-f", "ogg"),
        ("-c:a", "libmp3lame", "-q:a", "2", "-f", "mp3"),
    ],
    ids=lambda options: options[1],
)
def test_random_access_in_files_of_ffmpeg(
    encoded: dict[str, Path], tmp_path: Path, options: tuple[str, ...]
) -> None:
    name = tmp_path / ("a.flac" if options[1] == "flac" else "a")
    ffmpeg("-i", encoded["wav"], *options, name)
    with open_audio(name) as audio:
        assert audio.info.frames == FRAMES
    assert_positions_are_exact(name)


@needs_ffmpeg
@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["quiet first", "loud first"])
def test_mp3_without_a_length_is_read_whole(tmp_path: Path, order: tuple[int, int]) -> None:
    """Its length is guessed from the first bit rate: four times too short if the beginning is loud."""
    parts = [np.zeros((2, 200_000)), noise(frames=100_000)]
    soundfile.write(tmp_path / "a.wav", np.concatenate([parts[i] for i in order], axis=1).T, 48000)
    ffmpeg("-i", tmp_path / "a.wav", "-q:a", "2", "-write_xing", "0", tmp_path / "a.mp3")
    with open_audio(tmp_path / "a.mp3") as audio:
        assert 300_000 <= audio.info.frames < 300_000 + 3 * 1152
    assert_positions_are_exact(tmp_path / "a.mp3")


def test_mp3_whose_count_is_off_by_one_is_not_called_truncated(
    encoded: dict[str, Path], tmp_path: Path
) -> None:
    """Some encoders count the frame that holds the count."""
    data = encoded["mp3"].read_bytes()
    place = max(data.find(b"Xing"), data.find(b"Info")) + 8
    count = int.from_bytes(data[place : place + 4], "big") + 1
    (tmp_path / "a").write_bytes(data[:place] + count.to_bytes(4, "big") + data[place + 4 :])
    assert FRAMES <= read_all(tmp_path / "a") <= FRAMES + 1152


@needs_ffmpeg
def test_flac_without_a_length_is_counted(encoded: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(ffmpeg("-i", encoded["wav"], "-f", "flac", "-"))
    with open_audio(tmp_path / "a") as audio:
        assert audio.info.frames == FRAMES
    assert_positions_are_exact(tmp_path / "a")


@needs_ffmpeg
@pytest.mark.parametrize(("channels", "layout"), [(5, "5.0"), (6, "5.1"), (7, "6.1"), (8, "7.1")])
@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
def test_surround_channels_keep_their_places(tmp_path: Path, channels: int, layout: str, codec: str) -> None:
    """Ogg has an order of its own; ffmpeg must hear ours as we wrote it, and we its."""
    time_s = np.arange(24_000) / 48_000
    samples = np.stack([0.3 * np.sin(2 * np.pi * (40 + 10 * c) * time_s) for c in range(channels)])

    def places(path: Path) -> list[int]:
        with open_audio(path) as audio:
            decoded = audio.read()[:, :24_000]
        spectra = np.abs(np.fft.rfft(decoded, 48_000))
        return [int(np.argmin(np.abs(40 + 10 * np.arange(channels) - np.argmax(s)))) for s in spectra]

    output = OutputFormat(container="OGG", subtype=codec, sample_rate=48000, channels=channels)
    with open_writer(tmp_path / "ours.ogg", output) as writer:
        writer.write(samples)
    ffmpeg("-i", tmp_path / "ours.ogg", "-c:a", "pcm_f32le", tmp_path / "decoded.wav")
    soundfile.write(tmp_path / "a.wav", samples.T, 48000, "FLOAT")
    encoder = ["libvorbis"] if codec == "VORBIS" else ["libopus", "-mapping_family", "1"]
    ffmpeg("-channel_layout", layout, "-i", tmp_path / "a.wav", "-c:a", *encoder, tmp_path / "theirs.ogg")
    for name in ("decoded.wav", "ours.ogg", "theirs.ogg"):
        assert places(tmp_path / name) == list(range(channels)), name


# ---------------------------------------------------------------- sizes that pipes leave behind


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFDB, 0xFFFFFFFF])
def test_streamed_wav_is_read_to_its_end(encoded: dict[str, Path], tmp_path: Path, size: int) -> None:
    data = encoded["wav"].read_bytes()
    place = data.index(b"data") + 4
    (tmp_path / "a").write_bytes(data[:place] + struct.pack("<I", size) + data[place + 4 :])
    with open_audio(tmp_path / "a") as audio, open_audio(encoded["wav"]) as expected:
        assert (audio.info.container, audio.info.frames) == ("WAV", FRAMES)
        np.testing.assert_array_equal(audio.read(), expected.read())
    assert_positions_are_exact(tmp_path / "a")


@pytest.mark.parametrize(
    ("size", "frames"),
    [
        (0, 2**30 + 12_345),
        (0xFFFFFFFF, 2**30 + 12_345),
        (0x7FFFF000, 2**29 + 12_345),
        (0x7FFFFFFF, 2**29 + 12_345),
        (0x80000000, 2**29 + 12_345),
    ],
)
def test_streamed_wav_past_its_size_is_read_to_its_end(tmp_path: Path, size: int, frames: int) -> None:
    """A sparse file: libsndfile alone stops at 4 GiB, at the size, or at once."""
    path = tmp_path / "a"
    header = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", size, b"WAVE", b"fmt ", 16, 1, 2, 48000, 192000, 4, 16)
    with path.open("wb") as file:
        file.write(header + struct.pack("<4sI", b"data", size))
        file.seek(44 + 4 * (frames - 1))
        file.write(struct.pack("<hh", 16384, -16384))
    with open_audio(path) as audio:
        assert audio.info.frames == frames
        np.testing.assert_array_equal(audio.read(frames - 2, frames), [[0.0, 0.5], [0.0, -0.5]])
        assert not audio.read(0, 100).any()


def test_a_size_that_only_looks_streamed_is_true_where_chunks_follow(tmp_path: Path) -> None:
    path = tmp_path / "a"
    size = 0x80000000
    header = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 0, b"WAVE", b"fmt ", 16, 1, 2, 48000, 192000, 4, 16)
    with path.open("wb") as file:
        file.write(header + struct.pack("<4sI", b"data", size))
        file.seek(44 + size)
        file.write(struct.pack("<4sI4s", b"LIST", 4, b"INFO"))
    with open_audio(path) as audio:
        assert audio.info.frames == size // 4


def test_a_wav_that_is_truly_empty_is_not_taken_for_a_stream(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 48000)
    path = tmp_path / "b.wav"
    path.write_bytes((tmp_path / "a.wav").read_bytes() + b"LIST" + struct.pack("<I", 4) + b"INFO")
    with pytest.raises(AudioReadError, match="no samples"), open_audio(path):
        pass


# ---------------------------------------------------------------- bad files


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up the rights of root, for whom nothing is forbidden."""
    if not hasattr(os, "geteuid"):
        pytest.skip("permissions work differently here")
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)


def read_all(path: Path) -> int:
    with open_audio(path) as audio:
        return sum(block.shape[1] for block in audio.blocks())


BAD_FILES = {
    "empty": (b"", "is empty"),
    "text.wav": (b"Dear diary,\n" * 100, "cannot be read as audio"),
    "text.flac": (b"Dear diary,\n" * 100, "cannot be read as audio"),
    "text.mp3": (b"Dear diary,\n" * 100, "cannot be read as audio|truncated|no samples"),
    "zeros.wav": (bytes(5000), "cannot be read as audio"),
    "one-byte": (b"R", "cannot be read as audio"),
    "riff-only.wav": (b"RIFF\x24\x00\x00\x00WAVE", "cannot be read as audio"),
    "webp.wav": (b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(100), "cannot be read as audio"),
    "ogg-only.ogg": (b"OggS" + bytes(20), "truncated"),
    "fLaC-only.flac": (b"fLaC" + bytes(40), "cannot be read as audio|no samples|truncated"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_what_is_no_audio(tmp_path: Path, name: str) -> None:
    content, message = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioReadError, match=message) as caught:
        read_all(tmp_path / name)
    assert name in str(caught.value)
    assert caught.value.hint


def test_what_is_no_file(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "missing.wav", "does not exist"),
        (tmp_path / "a" / "b.wav", "does not exist"),
        (tmp_path, "is a folder"),
        (tmp_path / ("x" * 300), "does not exist"),
        (tmp_path / "nul\0.wav", "does not exist"),
    ):
        with pytest.raises(AudioReadError, match=message) as caught:
            read_all(path)
        assert caught.value.hint


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
def test_devices_are_not_read() -> None:
    with pytest.raises(AudioReadError, match="not a regular file"):
        read_all(Path("/dev/zero"))


def test_no_permission(encoded: dict[str, Path]) -> None:
    """A file of its own folder, reachable by everyone, readable by nobody."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        shutil.copy(encoded["wav"], path)
        path.chmod(0)
        Path(folder).chmod(0o755)
        with as_nobody(), pytest.raises(AudioReadError, match="no permission") as caught:
            read_all(path)
        Path(folder).chmod(0o700)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "DOUBLE"),
        ("WAVEX", "PCM_24"),
        ("RF64", "FLOAT"),
        ("W64", "PCM_24"),
        ("AIFF", "PCM_16"),
        ("AIFF", "FLOAT"),
        ("CAF", "PCM_16"),
        ("AU", "PCM_24"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
@pytest.mark.parametrize("kept", [0.3, 0.999])
def test_truncated(tmp_path: Path, container: str, subtype: str, kept: float) -> None:
    path = tmp_path / "a"
    soundfile.write(path, noise(frames=48_000).T, 48000, subtype, format=container)
    assert read_all(path) == 48_000
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(AudioReadError, match="truncated") as caught:
        read_all(path)
    assert "ffmpeg" in caught.value.hint


@needs_ffmpeg
def test_truncated_flac_of_unknown_length(encoded: dict[str, Path], tmp_path: Path) -> None:
    data = ffmpeg("-i", encoded["wav"], "-f", "flac", "-")
    (tmp_path / "a").write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioReadError):
        read_all(tmp_path / "a")


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path, encoded: dict[str, Path]) -> None:
    path = tmp_path / "a.wav"
    shutil.copy(encoded["wav"], path)
    with open_audio(path) as audio:
        os.truncate(path, 20_000)
        with pytest.raises(AudioReadError, match=r"truncated: it announces 2\.086 s and ends after"):
            audio.read(0, FRAMES)


@pytest.mark.parametrize(
    ("bad", "what"),
    [(np.nan, "not numbers"), (np.inf, "not numbers"), (-np.inf, "not numbers"), (-1e39, "beyond any level")],
)
def test_samples_that_are_no_samples(tmp_path: Path, bad: float, what: str) -> None:
    samples = np.zeros((2, 100_000))
    samples[1, 72_000] = bad
    samples[0, 90_000] = bad
    soundfile.write(tmp_path / "a.wav", samples.T, 48000, "DOUBLE")
    with open_audio(tmp_path / "a.wav") as audio:
        assert not audio.read(0, 72_000).any()
        with pytest.raises(AudioReadError, match=rf"{what}.*first at 1\.500 s"):
            list(audio.blocks(block_frames=1000))
    with pytest.raises(AudioReadError, match=rf"{what}.*first at 1\.500 s"):
        ArraySource(samples, 48000)


def test_integers_that_were_written_as_floats_are_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full((100, 1), -(2.0**31)), 48000, "FLOAT")
    with open_audio(tmp_path / "a.wav") as audio:
        assert (audio.read() == -(2.0**31)).all()


def test_unsupported(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "9.wav", np.zeros((10, 9)), 48000)
    soundfile.write(tmp_path / "slow.wav", np.zeros(10), 4000)
    soundfile.write(tmp_path / "fast.wav", np.zeros(10), 768000)
    (tmp_path / "a.raw").write_bytes(bytes(100))
    for name, message in (
        ("9.wav", "9 channels"),
        ("slow.wav", "4000 Hz"),
        ("fast.wav", "768000 Hz"),
        ("a.raw", "no header"),
    ):
        with pytest.raises(UnsupportedAudioError, match=message) as caught:
            read_all(tmp_path / name)
        assert "sox" in caught.value.hint or "--input-format" in caught.value.hint


@pytest.mark.parametrize(
    "name",
    ["日本語 – ünïcödé.wav", "new\nline.wav", "dot.", " ", "x" * 250 + ".wav", "-rf.wav", "a'b\"c.wav"],
)
def test_odd_names(tmp_path: Path, encoded: dict[str, Path], name: str) -> None:
    shutil.copy(encoded["wav"], tmp_path / name)
    assert read_all(tmp_path / name) == FRAMES


@pytest.mark.skipif(os.name != "posix", reason="names are text here")
def test_names_that_are_not_text(tmp_path: Path, encoded: dict[str, Path]) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    try:
        shutil.copy(encoded["wav"], path)
    except OSError:
        pytest.skip("this file system only takes UTF-8 names")
    assert read_all(path) == FRAMES


# ---------------------------------------------------------------- ranges and arrays


def test_ranges(encoded: dict[str, Path]) -> None:
    with open_audio(encoded["wav"]) as audio:
        for source in (audio, ArraySource(audio.read(), 48000)):
            whole = source.read()
            assert source.read(10, 10).shape == (2, 0)
            assert list(source.blocks(10, 10)) == []
            np.testing.assert_array_equal(source.read(99_000), whole[:, 99_000:])
            blocks = list(source.blocks(100, 1100, 400))
            assert [b.shape[1] for b in blocks] == [400, 400, 200]
            np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole[:, 100:1100])
            for start, stop in ((-1, 10), (10, 5), (0, FRAMES + 1)):
                with pytest.raises(OptionError):
                    source.read(start, stop)
            with pytest.raises(OptionError):
                list(source.blocks(block_frames=0))


def test_array_source_is_a_copy_in_double_precision() -> None:
    samples = noise(frames=100).astype(np.float32)
    source = ArraySource(samples, 44100)
    assert (source.info.channels, source.info.frames, source.info.subtype) == (2, 100, "FLOAT")
    block = source.read()
    assert block.dtype == np.float64
    block[:] = 0.0
    np.testing.assert_array_equal(source.read(), samples)
    assert ArraySource(samples[0], 44100).read().shape == (1, 100)
    assert source.read(10, 20).flags.c_contiguous


@pytest.mark.parametrize(
    ("samples", "sample_rate", "message", "hint"),
    [
        (np.zeros((48000, 2)), 48000, "shape", "samples.T"),
        (np.zeros((2, 2, 2)), 48000, "shape", "samples.T"),
        (np.zeros((2, 10), np.int16), 48000, "int16", "32768"),
        (np.zeros((2, 10), complex), 48000, "complex128", "scale"),
        (np.zeros((2, 0)), 48000, "no samples", "empty"),
        (np.zeros((2, 10)), 100, "100 Hz", "resample"),
    ],
)
def test_arrays_that_are_no_audio(samples: np.ndarray, sample_rate: int, message: str, hint: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        ArraySource(samples, sample_rate)
    assert hint in caught.value.hint
