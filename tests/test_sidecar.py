"""Gain files: applied again and taken back without what found the gain, to the last bit."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import soundfile
from safetensors import safe_open

import unsquash
from unsquash import Position, RestoreOptions, restore_file
from unsquash.audio import open_audio
from unsquash.dsp.compressor import compress
from unsquash.dsp.profiles import load_profile
from unsquash.errors import InputError, OptionError, OutputExistsError
from unsquash.sidecar import STEP_DB, GainFile, GainRecord, open_gain_writer, samples_digest

KNOWN = RestoreOptions(profile="five/C")
RECORD = GainRecord(
    sample_rate=44100,
    channels=2,
    frames=1000,
    squashed_sha256="a",
    restored_sha256="",
    squashed_subtype="PCM_16",
    level_gain_db=-1.5,
    method="model",
    version="1",
)


def write(path, samples, subtype):
    soundfile.write(path, samples.T, 44100, subtype)
    return path


@pytest.fixture(scope="module")
def squashed(song):
    part = song[:, : 3 * 44100] * 0.7
    return compress(part, 44100, load_profile("five/C")).samples


def restore(source, target, options=KNOWN, **keywords):
    return restore_file(source, target, options, overwrite=True, **keywords)


def samples_of(path):
    return soundfile.read(path, always_2d=True)[0].T


@pytest.mark.parametrize(
    ("subtype", "name", "changes"),
    [
        ("PCM_16", "out.wav", {}),
        ("PCM_24", "out.flac", {"strength": 0.6}),
        ("FLOAT", "out.wav", {"max_gain_db": 3.0}),
        ("DOUBLE", "out.wav", {"level": -20.0}),
        ("PCM_24", "out.wav", {"bit_depth": "16", "link": "off"}),
    ],
)
def test_applied_again_it_is_the_same_bit_for_bit(squashed, tmp_path, subtype, name, changes):
    source = write(tmp_path / "in.wav", squashed, subtype)
    options = dataclasses.replace(KNOWN, **changes)
    first = restore(source, tmp_path / name, options, save_gain=tmp_path / "gain")
    again = RestoreOptions(apply_gain=tmp_path / "gain", bit_depth=options.bit_depth)
    second = restore(source, tmp_path / f"again-{name}", again)
    assert np.array_equal(samples_of(tmp_path / f"again-{name}"), samples_of(tmp_path / name))
    assert second.level_gain_db == first.level_gain_db
    assert second.gain == first.gain
    assert second.plan.method == "saved"


def test_an_integer_output_gets_less_of_a_level_that_only_floats_can_hold(squashed, tmp_path):
    source = write(tmp_path / "in.wav", squashed * (1.4 / np.abs(squashed).max()), "FLOAT")
    floats = dataclasses.replace(KNOWN, bit_depth="32f")
    first = restore(source, tmp_path / "float.wav", floats, save_gain=tmp_path / "gain")
    again = restore(source, tmp_path / "16.wav", RestoreOptions(apply_gain=tmp_path / "gain", bit_depth="16"))
    assert first.level_gain_db == 0.0
    assert again.levels.true_peak_dbtp == pytest.approx(-1.0, abs=0.01)
    assert any("softer than saved" in warning for warning in again.warnings)


def test_headerless_outputs_have_gains_and_pairs_too(squashed, tmp_path):
    source = write(tmp_path / "in.wav", squashed, "PCM_16")
    restore(source, tmp_path / "out.raw", save_gain=tmp_path / "gain", ab=tmp_path / "ab")
    assert (tmp_path / "ab" / "in.after.wav").exists()
    undo = RestoreOptions(apply_gain=tmp_path / "gain", undo=True, input_format="s24le:44100:2")
    back = restore(tmp_path / "out.raw", tmp_path / "back.wav", undo)
    assert not any("tags" in warning for warning in back.warnings)
    assert np.abs(samples_of(tmp_path / "back.wav") - samples_of(source)).max() < 2**-22


def test_the_gain_that_is_applied_is_not_written_over(squashed, tmp_path):
    source = write(tmp_path / "in.wav", squashed, "PCM_16")
    restore(source, tmp_path / "out.wav", save_gain=tmp_path / "gain.wav")
    with pytest.raises(OutputExistsError, match="same file"):
        restore(source, tmp_path / "gain.wav", RestoreOptions(apply_gain=tmp_path / "gain.wav"))


def test_a_saved_gain_fits_its_own_samples_only_in_the_library_too(squashed, tmp_path):
    source = write(tmp_path / "in.wav", squashed, "PCM_16")
    restore(source, tmp_path / "out.wav", save_gain=tmp_path / "gain")
    apply = RestoreOptions(apply_gain=tmp_path / "gain")
    unsquash.restore(samples_of(source), 44100, apply)
    with pytest.raises(OptionError, match="another recording"):
        unsquash.restore(samples_of(source)[:, ::-1], 44100, apply)


@pytest.mark.parametrize("level", ["auto", -20.0])
def test_an_array_gets_the_saved_gain_and_its_level(squashed, tmp_path, level):
    source = write(tmp_path / "in.wav", squashed, "DOUBLE")
    options = dataclasses.replace(KNOWN, level=level)
    first = restore(source, tmp_path / "out.wav", options, save_gain=tmp_path / "gain")
    apply, samples = RestoreOptions(apply_gain=tmp_path / "gain"), samples_of(source)
    again = unsquash.restore(samples, 44100, apply)
    assert np.array_equal(again.samples, samples_of(tmp_path / "out.wav"))
    assert again.level_gain_db == first.level_gain_db
    undo = dataclasses.replace(apply, undo=True)
    assert np.abs(unsquash.restore(again.samples, 44100, undo).samples - samples).max() < 1e-14
    kept = unsquash.restore(samples, 44100, dataclasses.replace(apply, level="keep"))
    assert kept.level_gain_db == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("link", ["max", "off"])
def test_the_gain_of_a_network_is_exact_and_small(squashed, tmp_path, link):
    source = write(tmp_path / "in.wav", squashed, "PCM_16")
    neural = RestoreOptions(method="neural", strength=0.7, max_gain_db=2.0, link=link)
    first = restore(source, tmp_path / "out.wav", neural, save_gain=tmp_path / "gain")
    assert first.gain.max_db > 0.1
    restore(source, tmp_path / "again.wav", RestoreOptions(apply_gain=tmp_path / "gain"))
    assert np.array_equal(samples_of(tmp_path / "again.wav"), samples_of(tmp_path / "out.wav"))
    rows = 2 if link == "off" else 1
    assert (tmp_path / "gain").stat().st_size < rows * squashed.shape[1] + 5000
    undo = RestoreOptions(apply_gain=tmp_path / "gain", undo=True)
    restore(tmp_path / "out.wav", tmp_path / "back.wav", undo)
    assert np.array_equal(samples_of(tmp_path / "back.wav"), samples_of(source))


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_taken_back_it_is_what_was_squashed(squashed, tmp_path, subtype):
    source = write(tmp_path / "in.wav", squashed, subtype)
    # An output with more digits than the input gives every one of them back.
    out = tmp_path / "out.wav"
    as_double = write(tmp_path / "double.wav", samples_of(source), "DOUBLE") if subtype == "FLOAT" else source
    options = KNOWN if subtype == "FLOAT" else dataclasses.replace(KNOWN, bit_depth="32f")
    restore(as_double, out, options, save_gain=tmp_path / "gain")
    back = restore(out, tmp_path / "back.wav", RestoreOptions(apply_gain=tmp_path / "gain", undo=True))
    error = np.abs(samples_of(tmp_path / "back.wav") - samples_of(source)).max()
    if subtype == "PCM_24":
        assert error <= 2**-23
    elif subtype == "PCM_16":
        assert error == 0
        assert not any("rounding" in warning for warning in back.warnings)
    else:
        assert error < 1e-15
    assert back.level_gain_db == 0.0


def test_an_inexact_undo_says_so(squashed, tmp_path):
    source = write(tmp_path / "in.wav", squashed, "PCM_24")
    restore(source, tmp_path / "out.wav", save_gain=tmp_path / "gain")
    undo = RestoreOptions(apply_gain=tmp_path / "gain", undo=True)
    back = restore(tmp_path / "out.wav", tmp_path / "back.wav", undo)
    error = np.abs(samples_of(tmp_path / "back.wav") - samples_of(source)).max()
    assert any("within rounding" in warning for warning in back.warnings) == (error > 0)
    assert error <= 2**-22


def test_sixteen_bits_come_back_whole_from_24(squashed, tmp_path):
    source = write(tmp_path / "in.wav", squashed, "PCM_16")
    restore(source, tmp_path / "out.flac", save_gain=tmp_path / "gain")
    undo = RestoreOptions(apply_gain=tmp_path / "gain", undo=True, bit_depth="16")
    back = restore(tmp_path / "out.flac", tmp_path / "back.wav", undo)
    assert np.array_equal(samples_of(tmp_path / "back.wav"), samples_of(source))
    assert back.warnings == ()


def test_strength_scales_the_saved_gain(squashed, tmp_path):
    source = write(tmp_path / "in.wav", squashed, "DOUBLE")
    restore(source, tmp_path / "full.wav", save_gain=tmp_path / "gain")
    restore(source, tmp_path / "half.wav", RestoreOptions(apply_gain=tmp_path / "gain", strength=0.5))
    restore(source, tmp_path / "expected.wav", dataclasses.replace(KNOWN, strength=0.5))
    assert np.allclose(samples_of(tmp_path / "half.wav"), samples_of(tmp_path / "expected.wav"), atol=1e-12)


def test_a_part_of_the_recording_gets_its_part_of_the_gain(squashed, tmp_path):
    source = write(tmp_path / "in.wav", squashed, "DOUBLE")
    restore(source, tmp_path / "whole.wav", save_gain=tmp_path / "gain")
    part = RestoreOptions(
        apply_gain=tmp_path / "gain", start=Position(value=0.5), end=Position(value=70000, unit="samples")
    )
    restore(source, tmp_path / "part.wav", part)
    assert np.array_equal(
        samples_of(tmp_path / "part.wav"), samples_of(tmp_path / "whole.wav")[:, 22050:70000]
    )


def test_another_recording_is_refused(squashed, tmp_path):
    source = write(tmp_path / "in.wav", squashed, "PCM_24")
    restore(source, tmp_path / "out.wav", save_gain=tmp_path / "gain")
    apply = RestoreOptions(apply_gain=tmp_path / "gain")
    other = samples_of(source)
    other[0, 100000] += 2**-20
    write(tmp_path / "other.wav", other, "PCM_24")
    write(tmp_path / "short.wav", other[:, :-1], "PCM_24")
    before = sorted(tmp_path.iterdir())
    for name, options in (
        ("other.wav", apply),
        ("short.wav", apply),
        ("out.wav", apply),
        ("in.wav", dataclasses.replace(apply, undo=True)),
    ):
        with pytest.raises(OptionError, match="another recording"):
            restore(tmp_path / name, tmp_path / "x.wav", options)
    assert sorted(tmp_path.iterdir()) == before
    write(tmp_path / "same.flac", samples_of(source), "PCM_24")
    restore(tmp_path / "same.flac", tmp_path / "x.wav", apply)
    assert np.array_equal(samples_of(tmp_path / "x.wav"), samples_of(tmp_path / "out.wav"))


def test_requests_that_contradict_each_other(squashed, tmp_path):
    source = write(tmp_path / "in.wav", squashed, "PCM_16")
    with pytest.raises(OptionError, match="part"):
        restore(
            source,
            tmp_path / "out.wav",
            dataclasses.replace(KNOWN, end=Position(value=1.0)),
            save_gain=tmp_path / "gain",
        )
    assert not (tmp_path / "out.wav").exists()
    for changes in (
        {"undo": True},
        {"apply_gain": tmp_path, "method": "none"},
        {"apply_gain": tmp_path, "profile": "five/A"},
        {"apply_gain": tmp_path, "undo": True, "strength": 0.5},
        {"apply_gain": tmp_path, "undo": True, "start": Position(value=1.0)},
    ):
        with pytest.raises(OptionError):
            RestoreOptions(**changes)


def test_nothing_to_do_saves_nothing_and_says_so(squashed, tmp_path):
    source = write(tmp_path / "in.wav", squashed, "PCM_16")
    report = restore(source, tmp_path / "out.wav", RestoreOptions(method="none"), save_gain=tmp_path / "gain")
    assert not (tmp_path / "gain").exists()
    assert any("no gain" in warning for warning in report.warnings)


def test_an_existing_gain_file_is_not_overwritten(squashed, tmp_path):
    source = write(tmp_path / "in.wav", squashed, "PCM_16")
    (tmp_path / "gain").write_bytes(b"precious")
    with pytest.raises(OutputExistsError):
        restore_file(source, tmp_path / "out.wav", KNOWN, save_gain=tmp_path / "gain")
    assert (tmp_path / "gain").read_bytes() == b"precious"
    assert not (tmp_path / "out.wav").exists()


def save(path, blocks):
    with open_gain_writer(path, overwrite=True) as writer:
        for block in blocks:
            writer.write(block)
        writer.record = RECORD


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("in_steps", [True, False])
def test_any_curve_comes_back_exactly(tmp_path, rows, in_steps):
    rng = np.random.default_rng(0)
    curve = np.cumsum(rng.normal(size=(rows, 1000)) * 0.01, axis=1)
    if in_steps:
        curve = np.rint(curve / STEP_DB) * STEP_DB
    save(tmp_path / "gain", [curve[:, :400], curve[:, 400:800], curve[:, 800:]])
    gain = GainFile(tmp_path / "gain")
    assert gain.record == RECORD
    for start, stop in ((0, 1000), (0, 0), (399, 401), (400, 800), (950, 1000), (10, 20)):
        assert np.array_equal(gain.read(start, stop), curve[:, start:stop])
    with pytest.raises(InputError):
        gain.read(990, 1001)


def test_smooth_steps_take_little_room(tmp_path):
    frames = 44100 * 20
    curve = np.interp(
        np.arange(frames), np.arange(0, frames, 441), np.random.default_rng(0).uniform(0, 9, 2000)
    )
    curve = (np.rint(curve / STEP_DB) * STEP_DB)[np.newaxis]
    save(tmp_path / "gain", [curve])
    assert (tmp_path / "gain").stat().st_size < 8 * frames / 25


def test_it_is_a_safetensors_file(tmp_path):
    save(tmp_path / "gain.safetensors", [np.zeros((1, 1000))])
    with safe_open(tmp_path / "gain.safetensors", framework="np") as file:
        assert set(file.keys()) == {"curve", "ends"}
        assert json.loads(file.metadata()["unsquash-gain"])["level_gain_db"] == -1.5
        assert file.get_tensor("ends").tolist()[-1] <= len(file.get_tensor("curve"))


@pytest.mark.parametrize(
    "change",
    [
        {"level_gain_db": "1.5"},
        {"level_gain_db": None},
        {"level_gain_db": float("nan")},
        {"level_gain_db": 1e300},
        {"squashed_subtype": []},
        {"rows": float("inf")},
    ],
)
def test_records_that_no_gain_can_have_are_refused(tmp_path, change):
    save(tmp_path / "gain", [np.zeros((1, 1000))])
    data = (tmp_path / "gain").read_bytes()
    header = json.loads(data[8:4104])
    about = json.loads(header["__metadata__"]["unsquash-gain"]) | change
    header["__metadata__"]["unsquash-gain"] = json.dumps(about)
    (tmp_path / "bad").write_bytes(data[:8] + json.dumps(header).encode().ljust(4096) + data[4104:])
    with pytest.raises(InputError, match="damaged"):
        GainFile(tmp_path / "bad")


def test_a_header_that_points_beyond_the_file_takes_no_memory(tmp_path):
    save(tmp_path / "gain", [np.zeros((1, 1000))])
    data = (tmp_path / "gain").read_bytes()
    header = json.loads(data[8:4104])
    header["ends"]["data_offsets"][1] = 2**62
    (tmp_path / "bad").write_bytes(data[:8] + json.dumps(header).encode().ljust(4096) + data[4104:])
    with pytest.raises(InputError, match="damaged"):
        GainFile(tmp_path / "bad")


def test_damaged_gain_files_are_refused_in_words(tmp_path):
    save(tmp_path / "gain", [np.random.default_rng(0).normal(size=(1, 1000))])
    data = (tmp_path / "gain").read_bytes()
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(300):
        damaged = bytearray(data)
        at = int(rng.integers(700)) if rng.random() < 0.7 else int(rng.integers(len(data)))
        match int(rng.integers(3)):
            case 0:
                damaged[at] ^= 1 << int(rng.integers(8))
            case 1:
                del damaged[at:]
            case _:
                damaged[at : at + 8] = rng.bytes(8)
        (tmp_path / "bad").write_bytes(bytes(damaged))
        try:
            GainFile(tmp_path / "bad").read(0, 1000)
        except InputError:
            refused += 1
    assert refused > 150
    with pytest.raises(InputError):
        GainFile(tmp_path / "absent")


def test_the_digest_sees_samples_not_containers(tmp_path):
    samples = np.round(np.random.default_rng(0).uniform(-0.5, 0.5, (2, 70000)) * 2**15) / 2**15
    digests = set()
    for name, subtype in (
        ("a.wav", "PCM_16"),
        ("b.flac", "PCM_24"),
        ("c.wav", "DOUBLE"),
        ("d.aiff", "FLOAT"),
    ):
        with open_audio(write(tmp_path / name, samples, subtype)) as audio:
            digests.add(samples_digest(audio))
    assert len(digests) == 1
    samples[1, 69999] += 2**-15
    with open_audio(write(tmp_path / "e.wav", samples, "PCM_16")) as audio:
        assert samples_digest(audio) not in digests
