"""Standard input and output: spooling, headers without sizes, readers that go away."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unsquash.audio import OutputFormat, open_audio, open_pipe_writer, open_writer, spooled
from unsquash.audio.pcm import pcm_header
from unsquash.errors import AudioReadError, OutputError

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
needs_sox = pytest.mark.skipif(shutil.which("sox") is None, reason="needs sox")
FRAMES = 20_001


def noise(channels: int = 2) -> np.ndarray:
    samples = np.random.default_rng(5).uniform(-0.5, 0.5, (channels, FRAMES))
    return np.round(samples * 2**15) / 2**15


def a_format(container: str = "WAV", subtype: str = "FLOAT", channels: int = 2) -> OutputFormat:
    return OutputFormat(container=container, subtype=subtype, sample_rate=48000, channels=channels)


def piped(output: OutputFormat, frames: int | None = None) -> bytes:
    stream = io.BytesIO()
    with open_pipe_writer(stream, output, frames) as writer:
        for start in range(0, FRAMES, 3000):
            writer.write(noise(output.channels)[:, start : start + 3000])
    return stream.getvalue()


# ---------------------------------------------------------------- in


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("MP3", "MPEG_LAYER_III"),
        ("W64", "FLOAT"),
        ("RF64", "PCM_24"),
        ("AIFF", "PCM_16"),
        ("CAF", "PCM_16"),
        ("AU", "PCM_16"),
    ],
)
def test_what_comes_in_is_told_by_its_content(tmp_path: Path, container: str, subtype: str) -> None:
    with open_writer(tmp_path / "a", a_format(container, subtype)) as writer:
        writer.write(noise())
    with (tmp_path / "a").open("rb") as stream, spooled(stream) as path, open_audio(path) as audio:
        assert (audio.info.container, audio.info.frames) == (container, FRAMES)
        if container not in ("OGG", "MP3"):
            np.testing.assert_array_equal(audio.read(), noise())
    assert not path.exists()
    assert not path.parent.exists()


def test_the_temporary_file_goes_even_after_an_error() -> None:
    folders: list[Path] = []

    def interrupted() -> None:
        with spooled(io.BytesIO(b"abc")) as path:
            assert path.read_bytes() == b"abc"
            folders.append(path.parent)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not folders[0].exists()


def test_nothing_comes_in() -> None:
    with pytest.raises(AudioReadError, match="nothing came in") as caught, spooled(io.BytesIO()):
        pass
    assert caught.value.hint


def test_the_stream_breaks() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(AudioReadError, match="broke off: Input/output error"), spooled(Broken()):
        pass


@pytest.mark.parametrize("container", ["WAV", "RF64", "CAF", "FLAC"])
def test_the_sender_dies_half_way(container: str) -> None:
    whole = io.BytesIO()
    soundfile.write(whole, noise().T, 48000, "PCM_16", format=container)
    half = io.BytesIO(whole.getvalue()[: len(whole.getvalue()) // 2])
    with (
        pytest.raises(AudioReadError, match=r"^standard input is truncated"),
        spooled(half) as path,
        open_audio(path),
    ):
        pass


def test_what_is_wrong_in_a_stream_is_not_said_of_the_temporary_file() -> None:
    with (
        pytest.raises(AudioReadError, match=r"^standard input cannot be read as audio"),
        spooled(io.BytesIO(b"no audio")) as path,
        open_audio(path),
    ):
        pass
    stream = io.BytesIO()
    soundfile.write(stream, np.full((100, 2), np.nan), 48000, "FLOAT", format="WAV")
    stream.seek(0)
    with (
        pytest.raises(AudioReadError, match=r"^standard input holds samples that are not numbers"),
        spooled(stream) as path,
        open_audio(path) as audio,
    ):
        audio.read()


def test_no_room_for_the_temporary_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OutputError, match="temporary file"), spooled(io.BytesIO(bytes(100_000))):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@needs_ffmpeg
@pytest.mark.parametrize(
    "options",
    [
        ("-f", "wav", "-c:a", "pcm_s16le"),
        ("-f", "wav", "-c:a", "pcm_s24le"),
        ("-f", "flac"),
        ("-f", "au"),
        ("-f", "w64"),
    ],
)
def test_pipe_from_ffmpeg(tmp_path: Path, options: tuple[str, ...]) -> None:
    soundfile.write(tmp_path / "a.wav", noise().T, 48000, "PCM_16")
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-i", tmp_path / "a.wav", *options, "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        with spooled(process.stdout) as path, open_audio(path) as audio:  # type: ignore[arg-type]
            np.testing.assert_array_equal(audio.read(), noise())


@needs_sox
@pytest.mark.parametrize("kind", ["wav", "flac", "au", "aiff"])
def test_pipe_from_sox(tmp_path: Path, kind: str) -> None:
    soundfile.write(tmp_path / "a.wav", noise().T, 48000, "PCM_16")
    command = ["sox", "-V1", tmp_path / "a.wav", "-t", kind, "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        with spooled(process.stdout) as path, open_audio(path) as audio:  # type: ignore[arg-type]
            np.testing.assert_array_equal(audio.read(), noise())


# ---------------------------------------------------------------- out


def test_the_default_header_has_56_bytes_and_no_sizes() -> None:
    header = pcm_header(a_format(), None)
    assert len(header) == 56
    assert header[4:8] == header[52:56] == b"\xff\xff\xff\xff"


@pytest.mark.parametrize("frames", [None, FRAMES])
@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "FLOAT"),
        ("WAV", "PCM_16"),
        ("WAV", "PCM_24"),
        ("AU", "FLOAT"),
        ("AU", "PCM_24"),
        ("RF64", "FLOAT"),
        ("W64", "PCM_24"),
        ("CAF", "FLOAT"),
        ("AIFF", "PCM_16"),
        ("FLAC", "PCM_24"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_what_goes_out_comes_back(
    tmp_path: Path, container: str, subtype: str, frames: int | None, channels: int
) -> None:
    (tmp_path / "a").write_bytes(piped(a_format(container, subtype, channels), frames))
    with open_audio(tmp_path / "a") as audio:
        assert (audio.info.container, audio.info.subtype, audio.info.frames) == (container, subtype, FRAMES)
        if container not in ("OGG", "MP3"):
            np.testing.assert_array_equal(audio.read(), noise(channels))


def test_raw_is_samples_and_nothing_else() -> None:
    np.testing.assert_array_equal(np.frombuffer(piped(a_format("RAW")), "<f4").reshape(-1, 2).T, noise())
    steps = np.frombuffer(piped(a_format("RAW", "PCM_16")), "<i2").reshape(-1, 2).T
    np.testing.assert_array_equal(steps / 2**15, noise())


def test_a_wav_of_known_length_equals_the_file(tmp_path: Path) -> None:
    for subtype in ("FLOAT", "PCM_24"):
        output = a_format("WAV", subtype, channels=1)  # an odd number of bytes in 24 bit
        with open_writer(tmp_path / subtype, output) as writer:
            writer.write(noise(1))
        assert piped(output, FRAMES) == (tmp_path / subtype).read_bytes()


def test_a_length_that_was_announced_is_kept() -> None:
    with pytest.raises(OutputError, match="announced"):
        piped(a_format(), FRAMES + 1)


def test_sizes_past_4_gib_are_not_wrapped_around() -> None:
    output = a_format()
    assert pcm_header(output, 2**32 - 100)[52:56] == (2**32 - 100).to_bytes(4, "little")
    assert pcm_header(output, 2**33) == pcm_header(output, None)[:44] + pcm_header(output, 2**33)[44:]
    assert pcm_header(output, 2**33)[52:56] == b"\xff\xff\xff\xff"


@needs_ffmpeg
@pytest.mark.parametrize("container", ["WAV", "AU", "FLAC", "RF64"])
def test_pipe_to_ffmpeg(container: str) -> None:
    subtype = "PCM_24" if container == "FLAC" else "FLOAT"
    command = ["ffmpeg", "-loglevel", "error", "-i", "-", "-f", "f32le", "-c:a", "pcm_f32le", "-"]
    decoded = subprocess.run(
        command, input=piped(a_format(container, subtype)), capture_output=True, check=True
    )
    np.testing.assert_array_equal(np.frombuffer(decoded.stdout, "<f4").reshape(-1, 2).T, noise())


@needs_sox
def test_pipe_to_sox() -> None:
    command = ["sox", "-V1", "-t", "wav", "-", "-t", "s16", "-"]
    decoded = subprocess.run(command, input=piped(a_format()), capture_output=True, check=True)
    steps = np.frombuffer(decoded.stdout, "<i2").reshape(-1, 2).T
    np.testing.assert_allclose(steps / 2**15, noise(), atol=2**-15)


SENDER = """
import sys, numpy as np
from unsquash.audio import OutputFormat, open_pipe_writer
output = OutputFormat(container=sys.argv[1], subtype=sys.argv[2], sample_rate=48000, channels=2)
try:
    with open_pipe_writer(sys.stdout.buffer, output) as writer:
        for _ in range(100):
            writer.write(np.random.default_rng(0).uniform(-0.5, 0.5, (2, 65536)))
except BrokenPipeError:
    import os
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(141)
"""


@pytest.mark.parametrize(("container", "subtype"), [("WAV", "FLOAT"), ("FLAC", "PCM_24")])
def test_the_reader_goes_away(container: str, subtype: str) -> None:
    command = [sys.executable, "-c", SENDER, container, subtype]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert len(process.stdout.read(1000)) == 1000
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_standard_output_is_full() -> None:
    with (
        Path("/dev/full").open("wb", buffering=0) as stream,
        pytest.raises(OutputError, match="standard output cannot"),
        open_pipe_writer(stream, a_format()) as writer,  # type: ignore[arg-type]
    ):
        writer.write(noise())


def test_an_error_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    stream = io.BytesIO()

    def interrupted() -> None:
        with open_pipe_writer(stream, a_format("FLAC", "PCM_24")) as writer:
            writer.write(noise())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stream.getvalue() == b""
    assert list(tmp_path.iterdir()) == []
