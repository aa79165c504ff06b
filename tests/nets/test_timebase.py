from __future__ import annotations

import numpy as np
import pytest

from unsquash.nets.features import SUBFRAME_SAMPLES, SUBFRAMES, Features
from unsquash.nets.gain import QUANTUM_SAMPLES, GainNetConfig
from unsquash.nets.timebase import Timebase

RATES = [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 88_200, 96_000, 192_000, 384_000]


@pytest.mark.parametrize("sample_rate", RATES)
def test_the_network_hears_within_a_third_of_a_percent_of_its_own_rate(sample_rate: int) -> None:
    timebase = Timebase.between(sample_rate, GainNetConfig())
    heard_rate = sample_rate * QUANTUM_SAMPLES / timebase.quantum_samples
    assert heard_rate == pytest.approx(44_100, rel=3e-3)


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 48_000, 96_000])
def test_a_sine_keeps_its_level_and_place(sample_rate: int) -> None:
    timebase = Timebase.between(sample_rate, GainNetConfig())
    time_s = np.arange(20 * timebase.quantum_samples) / sample_rate
    heard = timebase.to_net(0.5 * np.sin(2 * np.pi * 440 * time_s)[None])
    heard_rate = sample_rate * QUANTUM_SAMPLES / timebase.quantum_samples
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(heard.shape[1]) / heard_rate)
    inside = slice(QUANTUM_SAMPLES, -QUANTUM_SAMPLES)
    np.testing.assert_allclose(heard[0, inside], expected[inside], atol=2e-4)


def test_the_end_is_padded_to_a_whole_quantum() -> None:
    heard = Timebase(quantum_samples=QUANTUM_SAMPLES).to_net(np.ones((3, QUANTUM_SAMPLES + 1)))
    assert heard.shape == (3, 2 * QUANTUM_SAMPLES)
    assert heard[:, : QUANTUM_SAMPLES + 1].min() == 1.0
    assert heard[:, QUANTUM_SAMPLES + 1 :].max() == 0.0


@pytest.mark.parametrize("quantum_samples", [186, 1024, 2229])
def test_a_straight_line_stays_straight(quantum_samples: int) -> None:
    timebase = Timebase(quantum_samples=quantum_samples)
    step = 64 * quantum_samples / 1024
    middles = (np.arange(64) + 0.5) * step - 0.5 * quantum_samples / 1024
    curve = timebase.to_samples(0.01 * middles, 4 * quantum_samples)
    inside = np.arange(int(step), int(4 * quantum_samples - step))
    np.testing.assert_allclose(curve[inside], 0.01 * inside, rtol=1e-9)


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 48_000, 96_000])
def test_a_peak_at_the_ceiling_is_seen_at_any_rate(sample_rate: int) -> None:
    """Resampled, a single sample would be a lower one, and elsewhere by a fraction."""
    timebase, extract = Timebase.between(sample_rate, GainNetConfig()), Features(8, 44_100)
    samples = np.zeros((2, 4 * timebase.quantum_samples))
    subframe_samples = timebase.quantum_samples * SUBFRAME_SAMPLES / QUANTUM_SAMPLES
    places = (np.array([7.5, 20.5, 21.5]) * subframe_samples).astype(int)
    samples[1, places] = [1.0, -1.0, 0.9]
    seen = timebase.features(samples, extract)[0]
    at_ceiling = seen[8 + 5 * SUBFRAMES : 8 + 6 * SUBFRAMES].T.flatten()
    assert at_ceiling.nonzero().flatten().tolist() == [7, 20]


def test_chunks_on_the_grid_are_seen_as_the_whole_is() -> None:
    timebase, extract = Timebase(quantum_samples=1115), Features(8, 44_100)
    samples = np.random.default_rng(0).uniform(-1.0, 1.0, (1, 12 * 1115))
    peak_track = slice(8, 8 + SUBFRAMES)
    whole = timebase.features(samples, extract)[0, peak_track]
    late = timebase.features(samples[:, 5 * 1115 :], extract)[0, peak_track]
    assert late.tolist() == whole[:, 5 * 4 :].tolist()
