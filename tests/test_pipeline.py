"""The library's `restore`: the same physics as on files, on arrays."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

import unsquash
from unsquash.errors import AudioReadError, OptionError, OutOfMemoryError, UnsupportedAudioError
from unsquash.metrics import si_sdr_db
from unsquash.options import Position

KNOWN = unsquash.RestoreOptions(profile="five/C")
SQUASH = unsquash.SquashOptions(profile="five/C")


@pytest.fixture(scope="module")
def squashed(song):
    return unsquash.squash(song, 44100, SQUASH)


def test_a_known_compressor_is_undone_exactly(song, squashed):
    restored = unsquash.restore(squashed, 44100, KNOWN)
    assert restored.samples.shape == song.shape
    assert restored.plan.method == "model"
    error = restored.samples - song
    assert 10 * np.log10((song**2).sum() / (error**2).sum()) > 250


def test_the_gain_curve_is_the_whole_difference(squashed):
    restored = unsquash.restore(squashed, 44100, KNOWN)
    assert restored.gain_db.shape == squashed.shape
    assert np.allclose(squashed * 10 ** (restored.gain_db / 20), restored.samples, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_and_one_dimension_are_kept(squashed, dtype):
    mono = squashed[0].astype(dtype)
    restored = unsquash.restore(mono, 44100, KNOWN)
    assert restored.samples.dtype == dtype
    assert restored.samples.shape == mono.shape
    assert restored.gain_db.shape == (1, len(mono))


def test_a_part_equals_that_part_of_the_whole(squashed):
    whole = unsquash.restore(squashed, 44100, KNOWN).samples
    part = unsquash.RestoreOptions(profile="five/C", start=Position(value=2.0), end=Position(value=3.5))
    assert np.array_equal(unsquash.restore(squashed, 44100, part).samples, whole[:, 88200:154350])


def test_scale_moves_the_threshold_and_nothing_else(song, squashed):
    """If a file was normalised by c, its threshold moved by the same decibels."""
    louder = unsquash.RestoreOptions(profile="five/C", settings={"threshold": str(-24.4 + 6.0)})
    restored = unsquash.restore(squashed * 10 ** (6.0 / 20), 44100, louder)
    assert si_sdr_db(song, restored.samples) > 200


def test_makeup_is_undone_too(song):
    settings = {"makeup": "5", "threshold": "-20", "ratio": "4"}
    squashed = unsquash.squash(song, 44100, unsquash.SquashOptions(settings=settings))
    restored = unsquash.restore(squashed, 44100, unsquash.RestoreOptions(settings=settings))
    assert np.allclose(restored.samples, song, atol=1e-12)


def test_strength_is_linear_in_decibels(squashed):
    full = unsquash.restore(squashed, 44100, KNOWN).gain_db
    half = unsquash.restore(squashed, 44100, unsquash.RestoreOptions(profile="five/C", strength=0.5)).gain_db
    assert np.allclose(half, 0.5 * full)


def test_strength_zero_and_method_none_are_exact_copies(squashed):
    for options in (
        unsquash.RestoreOptions(profile="five/C", strength=0.0),
        unsquash.RestoreOptions(method="none"),
    ):
        restored = unsquash.restore(squashed, 44100, options)
        assert np.array_equal(restored.samples, squashed)
        assert restored.plan.stages == ()
        assert not restored.gain_db.any()


def test_levels_on_request(squashed):
    target = unsquash.RestoreOptions(profile="five/C", level=-20.0)
    restored = unsquash.restore(squashed, 44100, target)
    levels = unsquash.analyze(restored.samples, 44100, unsquash.RestoreOptions(method="none")).levels
    assert levels.integrated_lufs == pytest.approx(-20.0, abs=0.01)
    safe = unsquash.restore(squashed * 2, 44100, unsquash.RestoreOptions(profile="five/C", level="peak-safe"))
    levels = unsquash.analyze(safe.samples, 44100, unsquash.RestoreOptions(method="none")).levels
    assert levels.true_peak_dbtp <= -1.0 + 1e-6
    assert safe.level_gain_db < 0.0


def test_the_input_is_not_touched(squashed):
    before = squashed.copy()
    unsquash.restore(squashed, 44100, KNOWN)
    assert np.array_equal(squashed, before)


@pytest.mark.parametrize(
    ("samples", "error"),
    [
        (np.zeros((1000, 2)), UnsupportedAudioError),
        (np.zeros((2, 2, 2)), UnsupportedAudioError),
        (np.full((1, 10), np.nan), AudioReadError),
    ],
    ids=["transposed", "three dimensions", "nan"],
)
def test_unusable_arrays_are_refused_with_a_hint(samples, error):
    with pytest.raises(error) as caught:
        unsquash.restore(samples, 44100, KNOWN)
    assert caught.value.hint


def test_a_part_that_is_empty_is_refused(squashed):
    with pytest.raises(OptionError, match="between start and end"):
        unsquash.restore(
            squashed, 44100, unsquash.RestoreOptions(profile="five/C", start=Position(value=60.0))
        )


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
def test_any_channel_count(channels):
    rng = np.random.default_rng(0)
    original = rng.standard_normal((channels, 8000)) * 0.1
    squashed = unsquash.squash(original, 48000, SQUASH)
    assert np.allclose(unsquash.restore(squashed, 48000, KNOWN).samples, original, atol=1e-12)


def test_a_preview_of_an_array_is_the_part_with_most_gain(song):
    quiet_first = song * np.linspace(0.1, 1.0, song.shape[1])
    squashed = unsquash.squash(quiet_first, 44100, SQUASH)
    whole = unsquash.restore(squashed, 44100, KNOWN)
    preview = unsquash.restore(
        squashed, 44100, unsquash.RestoreOptions(profile="five/C", preview=Position(value=2.0))
    )
    assert preview.samples.shape == preview.gain_db.shape == (2, 88200)
    assert preview.gain_db.mean() > whole.gain_db.mean() + 0.5
    starts = range(0, song.shape[1] - 88199, 22050)
    assert any(np.array_equal(preview.samples, whole.samples[:, at : at + 88200]) for at in starts)


def test_lists_are_samples_too(squashed):
    samples = squashed[0, :3000]
    assert np.array_equal(
        unsquash.restore(samples.tolist(), 44100, KNOWN).samples,
        unsquash.restore(samples, 44100, KNOWN).samples,
    )
    assert np.array_equal(
        unsquash.squash([samples.tolist()], 44100, SQUASH), unsquash.squash(samples[None], 44100, SQUASH)
    )


@pytest.mark.parametrize("rate", [44100.0, 44100.5, "44100", None])
def test_a_rate_is_a_whole_number(rate):
    for call in (unsquash.restore, unsquash.analyze, unsquash.squash):
        with pytest.raises(UnsupportedAudioError, match="no whole number"):
            call(np.zeros(1000), rate, SQUASH if call is unsquash.squash else KNOWN)


def test_numpys_whole_numbers_are_rates(squashed):
    assert unsquash.restore(squashed, np.int32(44100), KNOWN).diagnosis.levels.integrated_lufs is not None


def test_files_may_be_named_by_strings(song, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    soundfile.write("in.wav", song[:, :44100].T, 44100, "FLOAT")
    unsquash.squash_file("in.wav", "squashed.wav", SQUASH)
    unsquash.restore_file("squashed.wav", "out.wav", KNOWN, save_gain="gain", ab="pair")
    assert unsquash.analyze_file("out.wav", KNOWN).source.frames == 44100
    assert (tmp_path / "gain").exists()
    assert (tmp_path / "pair" / "squashed.after.wav").exists()


def test_squashed_files_may_keep_their_loudness(song, tmp_path):
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, 0.3 * song.T, 44100, "FLOAT")
    done = unsquash.squash_file(source, target, SQUASH, level="match")
    before, after = (unsquash.analyze_file(path, KNOWN).diagnosis.levels for path in (source, target))
    assert done.warnings == ()
    assert after.integrated_lufs == pytest.approx(before.integrated_lufs, abs=0.01)


@pytest.mark.parametrize(
    "changes", [{"start": 1}, {"end": 2.0}, {"preview": "30"}, {"apply_gain": "song.gain"}]
)
def test_times_and_gain_files_of_another_type_are_refused(changes):
    with pytest.raises(OptionError, match=next(iter(changes))):
        unsquash.RestoreOptions(**changes)


@pytest.mark.parametrize(
    "call",
    [
        lambda path: unsquash.restore(np.zeros(1000), 44100, KNOWN),
        lambda path: unsquash.analyze(np.zeros(1000), 44100, KNOWN),
        lambda path: unsquash.squash(np.zeros(1000), 44100, SQUASH),
        lambda path: unsquash.restore_file(path, path.with_name("out.wav"), KNOWN),
        lambda path: unsquash.analyze_file(path, KNOWN),
        lambda path: unsquash.squash_file(path, path.with_name("out.wav"), SQUASH),
    ],
)
@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")]
)
def test_memory_that_runs_out_is_an_error_of_its_own(call, error, tmp_path, monkeypatch):
    def read(*_args):
        raise error

    path = tmp_path / "in.wav"
    soundfile.write(path, np.zeros(1000), 44100)
    monkeypatch.setattr("unsquash.audio.reader.ArraySource.read", read)
    monkeypatch.setattr("unsquash.audio.reader.AudioFile.read", read)
    with pytest.raises(OutOfMemoryError, match="out of memory"):
        call(path)
