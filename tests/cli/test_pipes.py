"""Every way through a pipe, between other programs as users have them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 44100
KNOWN = ("--profile", "five/C", "--level", "keep")
UNSQUASH = f"{shlex.quote(sys.executable)} -m unsquash"
FEEDERS = {
    "wav of unknown length": ("ffmpeg", "ffmpeg -v error -i {song} -f wav -", ""),
    "wav": ("cat", "cat {song}", ""),
    "flac of unknown length": ("flac", "cat {song} | flac -s -c --ignore-chunk-sizes -", ""),
    "aiff": ("sox", "sox {song} -t aiff -", ""),
    "aiff of unknown length": (
        "sox",
        "sox {song} -t raw - | sox -t raw -r 44100 -e signed -b 16 -c 2 - -t aiff -",
        "",
    ),
    "au": ("sox", "sox {song} -t au -", ""),
    "flac from ffmpeg": ("ffmpeg", "ffmpeg -v error -i {song} -f flac -", ""),
    "raw": ("ffmpeg", "ffmpeg -v error -i {song} -f s16le -", "--input-format s16le:44100:2"),
    "raw, big-endian floats": (
        "ffmpeg",
        "ffmpeg -v error -i {song} -f f32be -",
        "--input-format f32be:44100:2",
    ),
}
EATERS = {
    "wav to ffmpeg": ("ffmpeg", "", "ffmpeg -v error -i - -c:a pcm_s24le {out}"),
    "wav to flac": ("flac", "--bit-depth 24", "flac -s - -o {out}.flac && flac -s -d {out}.flac -o {out}"),
    "wav to sox": ("sox", "--bit-depth 24", "sox -t wav - {out}"),
    "flac to flac": ("flac", "--format flac", "flac -s -d - -o {out}"),
    "flac to ffmpeg": ("ffmpeg", "--format flac", "ffmpeg -v error -i - -c:a pcm_s24le {out}"),
    "raw to sox": ("sox", "--format raw --bit-depth 24", "sox -t raw -r 44100 -e signed -b 24 -c 2 - {out}"),
    "raw to ffmpeg": (
        "ffmpeg",
        "--format raw",
        "ffmpeg -v error -f {raw} -ar 44100 -ac 2 -i - -c:a pcm_s24le {out}",
    ),
}


@pytest.fixture(scope="module")
def song_path(song, tmp_path_factory):
    path = tmp_path_factory.mktemp("pipes") / "song.wav"
    soundfile.write(path, (song[:, :RATE] * 0.1).T, RATE, "PCM_16")
    return path


@pytest.fixture(scope="module")
def expected(song_path):
    """What a file becomes: every pipe must give the same."""
    from unsquash import RestoreOptions, restore_file

    out = song_path.with_name("expected.wav")
    restore_file(song_path, out, RestoreOptions(profile="five/C", level="keep", bit_depth="24"))
    return soundfile.read(out)[0]


def shell(command, **keywords):
    keywords.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, timeout=120, check=False, **keywords
    )


def need(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


@pytest.mark.slow
@pytest.mark.parametrize("feeder", FEEDERS)
def test_whatever_comes_in(feeder, song_path, expected, tmp_path):
    program, command, flags = FEEDERS[feeder]
    need(program)
    out = tmp_path / "out.wav"
    done = shell(
        f"{command.format(song=song_path)} | {UNSQUASH} restore - - {shlex.join(KNOWN)} {flags} > {out}"
    )
    assert done.returncode == 0, done.stderr
    samples, rate = soundfile.read(out)
    assert rate == RATE
    assert soundfile.info(out).subtype == "FLOAT"
    assert samples.shape == expected.shape
    assert np.abs(samples - expected).max() <= 2**-23


@pytest.mark.slow
@pytest.mark.parametrize("eater", EATERS)
def test_whatever_goes_out(eater, song_path, expected, tmp_path):
    program, flags, command = EATERS[eater]
    need(program)
    out = tmp_path / "out.wav"
    raw = "s24le"
    chain = (
        f"{UNSQUASH} restore {song_path} - {shlex.join(KNOWN)} {flags} | {command.format(out=out, raw=raw)}"
    )
    done = shell(chain)
    assert done.returncode == 0, done.stderr
    samples, rate = soundfile.read(out)
    assert rate == RATE
    assert np.abs(samples - expected).max() <= 2**-23
    assert b"Traceback" not in done.stderr


GUIDE = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in GUIDE.splitlines() if line.startswith("ffmpeg ")])
def test_the_pipes_of_the_guide(line, song_path, tmp_path):
    need("ffmpeg")
    need("flac")
    assert shell(f"ffmpeg -v error -i {song_path} -c:a aac {tmp_path / 'in.m4a'}").returncode == 0
    done = shell(line.replace("unsquash restore", f"{UNSQUASH} restore {shlex.join(KNOWN)}"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert soundfile.info(tmp_path / "out.flac").duration >= soundfile.info(song_path).duration


@pytest.mark.slow
def test_the_chain_of_the_guide_keeps_tags(song_path, expected, tmp_path):
    need("ffmpeg")
    need("flac")
    tagged, out = tmp_path / "tagged.flac", tmp_path / "out.flac"
    shell(f"ffmpeg -v error -i {song_path} -metadata title=Name -metadata artist=Someone {tagged}")
    done = shell(
        f"ffmpeg -v error -i {tagged} -f wav - | {UNSQUASH} restore - - {shlex.join(KNOWN)} "
        f"| ffmpeg -v error -i - -c:a flac -sample_fmt s32 {out}"
    )
    assert done.returncode == 0, done.stderr
    assert np.abs(soundfile.read(out)[0] - expected).max() <= 2**-23
    with soundfile.SoundFile(out) as file:
        assert file.copy_metadata()["title"] == "Name"
        assert file.copy_metadata()["artist"] == "Someone"


@pytest.mark.slow
@pytest.mark.parametrize("flags", ["", "--format flac", "--format raw", "--level peak-safe"])
def test_a_reader_that_leaves_ends_it_quietly(song, tmp_path, flags):
    long = tmp_path / "long.wav"
    soundfile.write(long, np.tile(song * 0.1, 4).T, RATE, "PCM_16")
    done = shell(
        f"{UNSQUASH} restore {long} - --profile five/C {flags} 2>{tmp_path}/stderr | head -c 200 >/dev/null; "
        "echo ${PIPESTATUS[0]}"
    )
    assert done.stdout.strip() == b"141"
    said = (tmp_path / "stderr").read_bytes()
    assert b"Traceback" not in said
    assert b"Broken" not in said


def broken_streams(song_path, tmp_path):
    """Streams that end in the middle: what came, and how to read it."""
    wav = song_path.read_bytes()
    soundfile.write(tmp_path / "whole.flac", *soundfile.read(song_path), "PCM_16")
    soundfile.write(tmp_path / "whole.aiff", *soundfile.read(song_path), "PCM_16")
    flac, aiff = ((tmp_path / f"whole.{name}").read_bytes() for name in ("flac", "aiff"))
    raw = soundfile.read(song_path, dtype="int16")[0].tobytes()
    return {
        "wav": (wav[: len(wav) // 2], ()),
        "flac": (flac[: len(flac) // 2], ()),
        "aiff": (aiff[: len(aiff) // 2], ()),
        "raw": (raw[: len(raw) // 2 + 1], ("--input-format", "s16le:44100:2")),
        "nothing": (b"", ()),
        "noise": (os.urandom(5000), ()),
        "text": (b"ffmpeg: no such file\n" * 30, ()),
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wav", "flac", "aiff", "raw", "nothing", "noise", "text"])
def test_a_stream_that_breaks_off_is_an_error_and_gives_nothing(run, song_path, tmp_path, kind):
    data, flags = broken_streams(song_path, tmp_path)[kind]
    done = run("restore", "-", "-", *KNOWN, *flags, input=data)
    assert done.returncode == 4, done.stderr
    assert done.stdout == b""
    assert b"hint:" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.slow
def test_nothing_but_audio_on_stdout(run, song_path):
    done = run("restore", song_path, "-", *KNOWN, "-v", "--format", "raw", "--bit-depth", "32f")
    assert done.returncode == 0
    assert len(done.stdout) == soundfile.info(song_path).frames * 8
    assert b"method: model" in done.stderr


def test_no_descriptor_is_left_behind():
    """Spooled input is removed."""
    import io
    import tempfile

    from unsquash import RestoreOptions, restore_file

    before = set(Path(tempfile.gettempdir()).glob("unsquash-*"))
    data = io.BytesIO()
    soundfile.write(data, np.zeros((4410, 2)), RATE, format="WAV")
    restore_file(io.BytesIO(data.getvalue()), io.BytesIO(), RestoreOptions(method="none"))
    assert set(Path(tempfile.gettempdir()).glob("unsquash-*")) <= before
