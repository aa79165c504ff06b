"""Traces: small, true, and the same however the recording is cut."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

import unsquash
from unsquash.analysis.diagnosis import analyze
from unsquash.audio import ArraySource
from unsquash.plan import make_plan
from unsquash.tracing import COLUMNS, FLOOR_DB, STEP_DB, Tracer, median_curve, trace

RATE = 8000


def traced(samples, gain_db, lengths):
    tracer = Tracer(RATE, samples.shape[1])
    start = 0
    for length in lengths:
        tracer.observe(samples[:, start : start + length], gain_db[:, start : start + length])
        start += length
    assert start >= samples.shape[1]
    return tracer.result(is_planned=True)


@pytest.mark.parametrize("rows", [1, 2])
def test_it_does_not_depend_on_how_a_recording_is_cut(rows):
    rng = np.random.default_rng(0)
    samples = rng.uniform(-1, 1, (2, 5 * RATE + 37))
    gain_db = rng.uniform(0, 6, (rows, samples.shape[1]))
    whole = traced(samples, gain_db, [samples.shape[1]])
    for lengths in ([1] * 100 + [79] * 600, [7777] * 6):
        other = traced(samples, gain_db, lengths)
        for field in fields(whole):
            np.testing.assert_allclose(getattr(other, field.name), getattr(whole, field.name), rtol=1e-9)


def test_levels_and_gain_of_a_sine():
    samples = 0.5 * np.sin(2 * np.pi * 500 * np.arange(2 * RATE) / RATE)[np.newaxis]
    gain_db = np.where(np.arange(2 * RATE) < RATE, 0.0, 6.0)[np.newaxis]
    found = traced(samples, gain_db, [2 * RATE])
    assert found.duration_s == 2.0
    assert len(found.rms_dbfs) * found.column_s == pytest.approx(2.0)
    np.testing.assert_allclose(found.peak_dbfs, -6.02, atol=0.01)
    np.testing.assert_allclose(found.rms_dbfs, -9.03, atol=0.01)
    assert found.mean_gain_db[0] == found.max_gain_db[0] == 0.0
    assert found.mean_gain_db[-1] == pytest.approx(6.0)


def test_silence_is_at_the_floor_and_not_in_the_static_curve():
    found = traced(np.zeros((1, 1000)), np.zeros((1, 1000)), [1000])
    assert set(found.peak_dbfs) == set(found.rms_dbfs) == {FLOOR_DB}
    assert found.static_curve.sum() == 0
    assert all(not len(part) for part in median_curve(found.static_curve))


def test_an_hour_has_as_many_columns_as_a_minute():
    tracer = Tracer(RATE, 3600 * RATE)
    block, gain_db = np.full((1, 60 * RATE), 0.5), np.zeros((1, 60 * RATE))
    for _ in range(60):
        tracer.observe(block, gain_db)
    found = tracer.result(is_planned=False)
    assert COLUMNS / 2 < len(found.rms_dbfs) <= COLUMNS
    np.testing.assert_allclose(found.rms_dbfs, -6.02, atol=0.01)
    assert found.static_curve.sum() == 3600 / 0.01


def test_the_median_curve_is_that_of_the_compressor():
    before_db = np.repeat(np.arange(-50.0, 0.0, 0.5) + 0.25, RATE // 100 * 4)
    gain_db = np.maximum(0.0, before_db + 20.0) * 0.75  # ratio 4 above -20 dB, taken back
    samples = 10.0 ** ((before_db - gain_db) / 20.0)
    found = traced(samples[np.newaxis], gain_db[np.newaxis], [len(samples)])
    before, after = median_curve(found.static_curve)
    assert len(before) == 100
    np.testing.assert_allclose(after, np.minimum(before, -20.0 + (before + 20.0) / 4.0), atol=STEP_DB)


class TestOfAPlan:
    def test_the_gain_is_the_one_that_restore_applies(self, song):
        options = unsquash.RestoreOptions(profile="five/C")
        source = ArraySource(song, 44100)
        diagnosis = analyze(source)
        phases = set()
        found = trace(
            source, make_plan(diagnosis, options), diagnosis, options, None, lambda *told: phases.add(told[0])
        )
        restored = unsquash.restore(song, 44100, options)
        assert found.is_planned
        assert phases == {"trace"}
        assert found.max_gain_db.max() == restored.gain_db.max()
        assert found.mean_gain_db.mean() == pytest.approx(restored.gain_db.mean(), rel=1e-6)

    def test_without_plan_and_network_it_is_zero(self, song):
        options = unsquash.RestoreOptions(method="none")
        source = ArraySource(song, 44100)
        diagnosis = analyze(source)
        found = trace(source, make_plan(diagnosis, options), diagnosis, options, None)
        assert not found.is_planned
        assert not found.max_gain_db.any()
        assert found.rms_dbfs.max() > -30

    def test_without_plan_it_is_what_the_network_would_do(self, song_wav):
        found = unsquash.analyze_file(song_wav, trace=True)
        assert found.plan.method == "none"
        assert found.trace is not None
        assert not found.trace.is_planned
        assert found.trace.max_gain_db.max() > 0.0
        assert unsquash.analyze_file(song_wav) == found
