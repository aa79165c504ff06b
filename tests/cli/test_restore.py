"""`unsquash restore` as a user meets it: processes, files, pipes, exit codes."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from unsquash.metrics import si_sdr_db

KNOWN = ("--profile", "five/C")


def read(path):
    samples, rate = soundfile.read(path, always_2d=True)
    return samples.T, rate


@pytest.fixture
def squashed_wav(run, song_wav, tmp_path):
    path = tmp_path / "squashed.wav"
    done = run("squash", song_wav, path, *KNOWN, "--level", "keep")
    assert done.returncode == 0, done.stderr
    return path


def leftovers(folder):
    return [path.name for path in folder.iterdir() if ".tmp-" in path.name]


def test_a_known_compressor_is_undone_to_the_noise_of_24_bit(run, song_wav, squashed_wav, tmp_path):
    out = tmp_path / "restored.wav"
    done = run("restore", squashed_wav, out, *KNOWN)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    original, rate = read(song_wav)
    restored, restored_rate = read(out)
    assert restored_rate == rate
    assert restored.shape == original.shape
    assert soundfile.info(out).subtype == "PCM_24"
    assert si_sdr_db(original, restored) > 100
    assert si_sdr_db(original, read(squashed_wav)[0]) < 30
    assert not leftovers(tmp_path)


def test_the_report_as_json(run, squashed_wav, tmp_path):
    done = run("restore", squashed_wav, tmp_path / "r.wav", *KNOWN, "--json")
    report = json.loads(done.stdout)
    assert report["schema"] == 1
    assert report["status"] == "restored"
    assert report["plan"]["stages"][0]["params"]["ratio"] == 3.2
    assert report["gain"]["max_db"] > 3
    assert report["level_gain_db"] <= 0.0


def test_what_exists_is_not_overwritten_unless_asked(run, squashed_wav, tmp_path):
    out = tmp_path / "there.wav"
    out.write_bytes(b"precious")
    done = run("restore", squashed_wav, out, *KNOWN)
    assert done.returncode == 6
    assert b"hint:" in done.stderr
    assert out.read_bytes() == b"precious"
    assert run("restore", squashed_wav, out, *KNOWN, "--overwrite").returncode == 0
    assert soundfile.info(out).frames == soundfile.info(squashed_wav).frames


@pytest.mark.parametrize("flags", [("--strength", "0"), ("--method", "none"), ("--max-gain", "0")])
def test_nothing_to_do_is_a_copy_bit_for_bit(run, squashed_wav, tmp_path, flags):
    out = tmp_path / "copy.wav"
    done = run("restore", squashed_wav, out, "--json", *flags)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "unchanged"
    assert out.read_bytes() == squashed_wav.read_bytes()


def test_nothing_to_do_into_another_container_keeps_every_sample(run, squashed_wav, tmp_path):
    out = tmp_path / "copy.flac"
    assert run("restore", squashed_wav, out, "--method", "none").returncode == 0
    assert np.array_equal(read(out)[0], read(squashed_wav)[0])


def test_a_dry_run_writes_nothing_and_tells_the_plan(run, squashed_wav, tmp_path):
    before = sorted(tmp_path.iterdir())
    done = run("restore", squashed_wav, tmp_path / "r.wav", *KNOWN, "--dry-run", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["status"] == "planned"
    assert sorted(tmp_path.iterdir()) == before


def test_a_part_equals_that_part_of_the_whole(run, squashed_wav, tmp_path):
    whole, part = tmp_path / "whole.wav", tmp_path / "part.wav"
    flags = (*KNOWN, "--level", "keep", "--bit-depth", "32f")
    assert run("restore", squashed_wav, whole, *flags).returncode == 0
    assert run("restore", squashed_wav, part, *flags, "--start", "1.5", "--end", "132300s").returncode == 0
    assert np.array_equal(read(part)[0], read(whole)[0][:, 66150:132300])


def test_integer_outputs_stay_under_their_peak_by_one_constant_gain(run, song_wav, tmp_path):
    loud = tmp_path / "loud.wav"
    squash = ("--set", "threshold=-30,ratio=4,attack=1,release=50")
    assert run("squash", song_wav, tmp_path / "s.wav", *squash, "--level", "-12").returncode == 0
    done = run(
        "restore", tmp_path / "s.wav", loud, "--set", "threshold=-26,ratio=4,attack=1,release=50", "--json"
    )
    report = json.loads(done.stdout)
    assert report["level_gain_db"] < 0
    assert report["levels"]["true_peak_dbtp"] == pytest.approx(-1.0, abs=0.01)
    floats = tmp_path / "float.wav"
    flags = ("--set", "threshold=-26,ratio=4,attack=1,release=50", "--bit-depth", "32f")
    assert run("restore", tmp_path / "s.wav", floats, *flags).returncode == 0
    assert np.abs(read(floats)[0]).max() > 1.0
    factor = 10 ** (report["level_gain_db"] / 20)
    assert np.allclose(read(loud)[0], read(floats)[0] * factor, atol=2e-7)


def test_keeping_the_level_never_clips_silently(run, song_wav, tmp_path):
    out = tmp_path / "out.wav"
    done = run("restore", song_wav, out, "--set", "threshold=-24,ratio=2", "--level", "keep")
    assert done.returncode == 1
    assert b"would clip" in done.stderr
    assert b"hint:" in done.stderr
    assert not out.exists()
    assert not leftovers(tmp_path)


def test_the_same_input_gives_the_same_bytes(run, squashed_wav, tmp_path):
    digests = set()
    for name in ("a.wav", "b.wav"):
        assert run("restore", squashed_wav, tmp_path / name, *KNOWN, "--bit-depth", "16").returncode == 0
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1


def test_input_and_output_may_not_be_the_same_file(run, squashed_wav, tmp_path):
    link = tmp_path / "link.wav"
    link.symlink_to(squashed_wav)
    before = squashed_wav.read_bytes()
    for target in (squashed_wav, link):
        assert run("restore", squashed_wav, target, *KNOWN, "--overwrite").returncode == 6
    assert squashed_wav.read_bytes() == before


class TestPipes:
    def test_wav_in_wav_out(self, run, squashed_wav, tmp_path):
        done = run("restore", "-", "-", *KNOWN, "--level", "keep", input=squashed_wav.read_bytes())
        assert done.returncode == 0, done.stderr
        piped = tmp_path / "piped.wav"
        piped.write_bytes(done.stdout)
        assert run("restore", squashed_wav, tmp_path / "f.wav", *KNOWN, "--bit-depth", "32f").returncode == 0
        assert np.array_equal(read(piped)[0], read(tmp_path / "f.wav")[0])

    def test_flac_out_of_a_pipe(self, run, squashed_wav, tmp_path):
        done = run("restore", squashed_wav, "-", *KNOWN, "--format", "flac")
        assert done.stdout[:4] == b"fLaC"
        (tmp_path / "piped.flac").write_bytes(done.stdout)
        assert read(tmp_path / "piped.flac")[0].shape == read(squashed_wav)[0].shape

    @pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
    def test_between_other_programs(self, squashed_wav, tmp_path):
        chain = (
            f"ffmpeg -v error -i {squashed_wav} -f wav - "
            f"| {sys.executable} -m unsquash restore - - --profile five/C"
            f" | ffmpeg -v error -i - -c:a pcm_s24le {tmp_path / 'out.wav'}"
        )
        subprocess.run(["bash", "-o", "pipefail", "-c", chain], check=True)
        assert read(tmp_path / "out.wav")[0].shape == read(squashed_wav)[0].shape

    def test_a_reader_that_leaves_is_no_error_of_ours(self, squashed_wav):
        chain = (
            f"{sys.executable} -m unsquash restore {squashed_wav} - --profile five/C | head -c 100 "
            ">/dev/null; echo ${PIPESTATUS[0]}"
        )
        done = subprocess.run(["bash", "-c", chain], capture_output=True, check=True)
        assert done.stdout.strip() == b"141"
        assert b"Traceback" not in done.stderr

    def test_json_and_audio_cannot_share_stdout(self, run, squashed_wav):
        assert run("restore", squashed_wav, "-", *KNOWN, "--json").returncode == 2


def test_settings_that_cannot_be_right_are_told_with_the_time(run, song_wav, tmp_path):
    done = run("restore", song_wav, tmp_path / "out.wav", "--set", "threshold=-40,ratio=8")
    assert done.returncode == 1
    assert b"no stable inverse from 0." in done.stderr
    assert b"hint:" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]


def test_what_is_left_alone_keeps_its_level_unless_an_integer_cannot_hold_it(run, song, tmp_path):
    for peak, gained in ((0.99, False), (1.5, True)):
        source, out = tmp_path / f"{peak}.wav", tmp_path / f"{peak}.flac"
        soundfile.write(source, song.T / np.abs(song).max() * peak, 44100, "FLOAT")
        done = run("restore", source, out, "--method", "none", "--json")
        assert done.returncode == 0, done.stderr
        assert (json.loads(done.stdout)["level_gain_db"] < 0) is gained
        assert np.abs(read(out)[0]).max() < 1.0
