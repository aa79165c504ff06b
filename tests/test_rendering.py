"""One constant gain for a whole file, reported, and nothing half-written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile

import unsquash
from unsquash.analysis.levels import Levels
from unsquash.audio import OutputFormat
from unsquash.errors import OutputError
from unsquash.rendering import Rendering, level_gain_db, render, shifted

LEVELS = Levels(
    integrated_lufs=-10.0,
    loudness_range_lu=5.0,
    true_peak_dbtp=3.0,
    sample_peak_dbfs=2.5,
    rms_dbfs=-12.0,
    crest_db=14.5,
    plr_db=13.0,
    dr_db=8.0,
)


@pytest.mark.parametrize(
    ("policy", "is_float", "gain_db", "remarks"),
    [
        ("keep", True, 0.0, 0),
        ("peak-safe", False, -4.0, 0),
        ("peak-safe", True, -4.0, 0),
        ("match", True, -4.0, 0),
        (-20.0, False, -10.0, 0),
        (-12.0, False, -4.0, 1),
        (-12.0, True, -2.0, 0),
        (-5.0, True, 5.0, 0),
    ],
)
def test_the_level_policies(policy, is_float, gain_db, remarks):
    found, warnings = level_gain_db(policy, LEVELS, -14.0, is_float)
    assert found == pytest.approx(gain_db)
    assert len(warnings) == remarks


def test_peak_safe_never_raises_a_level():
    quiet = shifted(LEVELS, -30.0)
    assert level_gain_db("peak-safe", quiet, None, is_float=False) == (0.0, ())


def test_silence_gets_no_gain():
    silent = Levels(**dict.fromkeys(Levels.__slots__))
    for policy in ("peak-safe", "match", -14.0):
        assert level_gain_db(policy, silent, -14.0, is_float=False)[0] == 0.0


@pytest.mark.parametrize("is_float", [True, False])
@pytest.mark.parametrize(
    ("policy", "lufs", "match_lufs"), [(-14.0, None, None), ("match", None, -14.0), ("match", -14.0, None)]
)
def test_what_has_no_loudness_is_said_to_have_none(policy, lufs, match_lufs, is_float):
    short = replace(LEVELS, integrated_lufs=lufs)
    gain_db, remarks = level_gain_db(policy, short, match_lufs, is_float)
    assert gain_db == (0.0 if is_float else -4.0)
    (remark,) = remarks
    assert "to have a loudness" in remark


def test_shifting_levels_keeps_their_ratios():
    moved = shifted(LEVELS, -4.0)
    assert (moved.true_peak_dbtp, moved.integrated_lufs) == (-1.0, -14.0)
    assert (moved.plr_db, moved.crest_db, moved.dr_db) == (LEVELS.plr_db, LEVELS.crest_db, LEVELS.dr_db)


def rendering(target, **changes):
    chosen = OutputFormat(container="WAV", subtype="PCM_24", sample_rate=44100, channels=1)
    settings = {"level": "auto", "match_lufs": None, "dither": False, "seed": 0, "overwrite": False}
    return Rendering(**({"target": target, "output_format": chosen, **settings} | changes))


def test_every_sample_gets_the_same_gain(tmp_path):
    rng = np.random.default_rng(0)
    blocks = [rng.uniform(-1.6, 1.6, (1, size)) for size in (5000, 70000, 123, 30000)]
    target = tmp_path / "out.wav"
    rendered = render(iter(blocks), rendering(target), frames=105123)
    written, _ = soundfile.read(target)
    expected = np.concatenate(blocks, axis=1)[0] * 10 ** (rendered.level_gain_db / 20)
    assert rendered.level_gain_db < -5.0
    assert np.abs(written - expected).max() <= 2**-24 * 1.01


def test_an_error_on_the_way_leaves_nothing(tmp_path):
    def broken():
        yield np.zeros((1, 1000))
        raise ValueError("the engine broke")

    for level in ("auto", "keep"):
        with pytest.raises(ValueError, match="engine broke"):
            render(broken(), rendering(tmp_path / "out.wav", level=level), frames=2000)
        assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_an_output_error(tmp_path):
    with pytest.raises(OutputError):
        render(iter([np.zeros((1, 10))]), rendering(tmp_path / "absent" / "out.wav"), frames=10)


@pytest.mark.parametrize(
    ("subtype", "name", "options", "is_told"),
    [
        ("PCM_32", "out.flac", unsquash.RestoreOptions(method="none"), True),
        ("PCM_32", "out.wav", unsquash.RestoreOptions(method="none"), False),
        ("PCM_32", "out.flac", unsquash.RestoreOptions(method="none", bit_depth="24"), False),
        ("PCM_16", "out.flac", unsquash.RestoreOptions(method="none"), False),
    ],
)
def test_bits_that_a_format_has_no_room_for_are_not_lost_in_silence(
    tmp_path, subtype, name, options, is_told
):
    source = tmp_path / "in.wav"
    soundfile.write(source, np.random.default_rng(0).uniform(-0.5, 0.5, 4410), 44100, subtype)
    report = unsquash.restore_file(source, tmp_path / name, options)
    assert any("32 bits" in warning for warning in report.warnings) is is_told
