"""The preview lies where most happens; pairs are equally loud, and blind ones keep their secret."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pyloudnorm
import pytest
import soundfile

from unsquash import Position, RestoreOptions, audition, restore_file
from unsquash.analysis.levels import Levels
from unsquash.audio import AudioInfo
from unsquash.audition import matching_gains_db
from unsquash.errors import OptionError, OutputExistsError
from unsquash.plan import NeuralInversion, Plan

KNOWN = RestoreOptions(profile="five/C")
RATE = 44100


@pytest.fixture
def burst(tmp_path):
    """Ten quiet seconds with a loud stretch from 6 s to 8 s: there the compressor worked most."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((10 * RATE, 2)) * 0.003
    noise[6 * RATE : 8 * RATE] *= 30
    path = tmp_path / "burst.wav"
    soundfile.write(path, noise.clip(-1, 1), RATE, "PCM_24")
    return path


def samples_of(path):
    return soundfile.read(path, always_2d=True)[0].T


def test_the_preview_is_the_part_with_most_gain(burst, tmp_path):
    options = dataclasses.replace(KNOWN, preview=Position(value=2.0), level="keep", bit_depth="32f")
    report = restore_file(burst, tmp_path / "out.wav", options)
    assert report.start_s == pytest.approx(6.0, abs=0.51)
    assert report.end_s - report.start_s == pytest.approx(2.0)
    start = round(report.start_s * RATE)
    whole = dataclasses.replace(KNOWN, level="keep", bit_depth="32f")
    restore_file(burst, tmp_path / "whole.wav", whole)
    expected = samples_of(tmp_path / "whole.wav")[:, start : start + 2 * RATE]
    assert np.array_equal(samples_of(tmp_path / "out.wav"), expected)


@pytest.mark.parametrize("length_s", [10.0, 60.0])
def test_a_preview_as_long_as_the_recording_is_the_recording(burst, tmp_path, length_s):
    report = restore_file(
        burst, tmp_path / "out.wav", dataclasses.replace(KNOWN, preview=Position(value=length_s))
    )
    assert (report.start_s, report.end_s) == (0.0, 10.0)


def test_where_nothing_is_done_the_preview_is_the_middle(burst, tmp_path):
    report = restore_file(
        burst, tmp_path / "out.wav", RestoreOptions(method="none", preview=Position(value=2.0))
    )
    assert (report.start_s, report.end_s) == (4.0, 6.0)
    assert np.array_equal(samples_of(tmp_path / "out.wav"), samples_of(burst)[:, 4 * RATE : 6 * RATE])


def test_a_network_looks_at_parts_of_what_is_long(monkeypatch):
    neural = Plan(stages=(NeuralInversion(model="x", linked=True, max_gain_db=12.0),), reasons=())
    info = AudioInfo(sample_rate=1000 * 8, channels=1, frames=8000 * 3600, container="WAV", subtype="PCM_16")
    spans = list(audition._spans(info, neural, 30 * 8000))
    assert len(spans) == 20
    assert spans[0] == (0, 240_000)
    assert spans[-1] == (info.frames - 240_000, info.frames)
    short = dataclasses.replace(info, frames=8000 * 60)
    assert list(audition._spans(short, neural, 240_000)) == [(0, 480_000)]
    heard = []

    def most_in_the_seventh(source, plan, diagnosis, options, net, start, stop, observe):
        heard.append((start, stop))
        gain_db = np.full((1, stop - start), 5.0 if start == spans[6][0] else 1.0)
        observe(gain_db, gain_db)
        yield gain_db

    monkeypatch.setattr(audition, "restored_blocks", most_in_the_seventh)
    source = SimpleNamespace(info=info)
    part = audition.most_squashed_part(source, neural, None, RestoreOptions(), None, 30.0)
    assert part == spans[6]
    assert heard == spans


def test_a_dry_run_tells_the_part(burst, tmp_path):
    report = restore_file(
        burst,
        tmp_path / "out.wav",
        dataclasses.replace(KNOWN, preview=Position(value=2.0)),
        dry_run=True,
        ab=tmp_path / "ab",
    )
    assert report.start_s > 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["burst.wav"]


@pytest.mark.parametrize(
    "changes",
    [{"preview": Position(value=0.0)}, {"preview": Position(value=2.0), "start": Position(value=1.0)}],
)
def test_impossible_previews(changes):
    with pytest.raises(OptionError):
        dataclasses.replace(KNOWN, **changes)


@pytest.mark.parametrize(
    "changes", [{}, {"level": -20.0}, {"preview": Position(value=4.0)}, {"bit_depth": "32f"}]
)
def test_before_and_after_are_equally_loud(burst, tmp_path, changes):
    options = dataclasses.replace(KNOWN, **changes)
    report = restore_file(burst, tmp_path / "out.wav", options, ab=tmp_path / "ab")
    before, after = (tmp_path / "ab" / f"burst.{name}.wav" for name in ("before", "after"))
    assert report.beside == (str(before), str(after))
    meter = pyloudnorm.Meter(RATE)
    loudness = [meter.integrated_loudness(samples_of(path).T) for path in (before, after)]
    assert loudness[0] == pytest.approx(loudness[1], abs=0.05)
    assert np.abs(samples_of(after)).max() <= 10 ** (-1 / 20) + 1e-6
    start = round(report.start_s * RATE)
    source = samples_of(burst)[:, start : start + samples_of(before).shape[1]]
    factor = np.sqrt(np.sum(samples_of(before) ** 2) / np.sum(source**2))
    assert factor <= 1 + 1e-6
    assert np.allclose(samples_of(before), source * factor, atol=1e-6)
    assert samples_of(after).shape == samples_of(before).shape == samples_of(tmp_path / "out.wav").shape


def test_a_blind_pair_and_its_key(burst, tmp_path):
    orders = set()
    for seed in range(6):
        folder = tmp_path / str(seed)
        options = dataclasses.replace(KNOWN, seed=seed)
        restore_file(burst, tmp_path / "out.wav", options, ab=folder, blind=True, overwrite=True)
        assert sorted(path.name for path in folder.iterdir()) == ["burst.X.wav", "burst.Y.wav", "burst.key"]
        text = (folder / "burst.key").read_text()
        assert "before" not in text
        key = json.loads(base64.b64decode(text.splitlines()[-1]))
        orders.add(key["X"]["what"])
        for name in "XY":
            data = (folder / f"burst.{name}.wav").read_bytes()
            assert hashlib.sha256(data).hexdigest() == key[name]["sha256"]
        truth = {key[name]["what"]: samples_of(folder / f"burst.{name}.wav") for name in "XY"}
        assert truth["before"].std() != truth["after"].std()
        factor = 10 ** (key["XY"[key["Y"]["what"] == "before"]]["gain_db"] / 20)
        assert np.allclose(truth["before"], samples_of(burst) * factor, atol=1e-6)
    assert orders == {"before", "after"}
    again = tmp_path / "again"
    restore_file(burst, tmp_path / "out.wav", KNOWN, ab=again, blind=True, overwrite=True)
    assert (again / "burst.key").read_bytes() == (tmp_path / "0" / "burst.key").read_bytes()


def test_existing_pairs_are_not_overwritten(burst, tmp_path):
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / "burst.after.wav").write_bytes(b"precious")
    with pytest.raises(OutputExistsError):
        restore_file(burst, tmp_path / "out.wav", KNOWN, ab=tmp_path / "ab")
    assert not (tmp_path / "out.wav").exists()
    assert (tmp_path / "ab" / "burst.after.wav").read_bytes() == b"precious"


def test_silence_has_a_pair_and_a_remark(tmp_path):
    soundfile.write(tmp_path / "in.wav", np.zeros(RATE), RATE)
    report = restore_file(tmp_path / "in.wav", tmp_path / "out.wav", KNOWN, ab=tmp_path / "ab")
    assert any("too quiet" in warning for warning in report.warnings)
    assert (tmp_path / "ab" / "in.after.wav").exists()


def test_pairs_need_files(burst, tmp_path):
    import io

    with pytest.raises(OptionError, match="output file"):
        restore_file(burst, io.BytesIO(), KNOWN, ab=tmp_path / "ab")
    with pytest.raises(OptionError, match="blind"):
        restore_file(burst, tmp_path / "out.wav", KNOWN, blind=True)


def levels(lufs, peak):
    return Levels(
        integrated_lufs=lufs,
        loudness_range_lu=None,
        true_peak_dbtp=peak,
        sample_peak_dbfs=peak,
        rms_dbfs=None,
        crest_db=None,
        plr_db=None,
        dr_db=None,
    )


def test_the_louder_is_lowered_and_both_stay_below_full_scale():
    assert matching_gains_db(levels(-10.0, -3.0), levels(-14.0, -2.0)) == (-4.0, 0.0)
    assert matching_gains_db(levels(-10.0, -3.0), levels(-14.0, 2.0)) == pytest.approx((-7.0, -3.0))
    assert matching_gains_db(levels(None, -3.0), levels(-14.0, 2.0)) is None


def test_what_is_too_short_for_a_loudness_is_lowered_so_that_it_fits(tmp_path):
    soundfile.write(tmp_path / "in.wav", np.sin(np.arange(RATE // 5) / 20) * 1.5, RATE, "FLOAT")
    report = restore_file(tmp_path / "in.wav", tmp_path / "out.wav", KNOWN, ab=tmp_path / "ab")
    assert any("too short" in warning for warning in report.warnings)
    assert np.abs(samples_of(tmp_path / "ab" / "in.before.wav")).max() < 1.0


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("source", "target", "save_gain", "ab", "blind"),
    [
        ("in.wav", "out.wav", "in.wav", None, False),
        ("in.wav", "out.wav", "out.wav", None, False),
        ("in.wav", "in.after.wav", None, ".", False),
        ("in.before.wav", "in.before.after.wav", None, ".", False),
        ("in.wav", "out.wav", "in.key", ".", True),
        ("in.wav", "sub/../in.X.wav", None, ".", True),
        ("in.wav", "out.wav", None, "out.wav", False),
        ("in.wav", "out.wav", "new", "new", False),
    ],
)
def test_no_output_takes_the_place_of_an_input_or_of_another_output(
    burst, tmp_path, overwrite, source, target, save_gain, ab, blind
):
    (tmp_path / "sub").mkdir()
    burst.rename(tmp_path / source)
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(OutputExistsError, match="same file"):
        restore_file(
            tmp_path / source,
            tmp_path / target,
            KNOWN,
            overwrite=overwrite,
            save_gain=None if save_gain is None else tmp_path / save_gain,
            ab=None if ab is None else tmp_path / ab,
            blind=blind,
        )
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_presets_and_models_are_not_written_over_either(burst, tmp_path):
    presets = tmp_path / "mine.csv"
    presets.write_text("precious")
    options = RestoreOptions(method="neural", profile_set=str(presets))
    with pytest.raises(OutputExistsError, match="same file"):
        restore_file(burst, tmp_path / "out.wav", options, overwrite=True, save_gain=presets)
    assert presets.read_text() == "precious"
