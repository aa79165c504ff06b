"""Compressors of all kinds, found by how they moved the noise far below the music."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unsquash import metrics
from unsquash.analysis.excerpts import read_excerpts
from unsquash.analysis.listening import Listener
from unsquash.analysis.noise import PROOF
from unsquash.analysis.population import Found
from unsquash.analysis.proving import prove
from unsquash.analysis.scorers import by_noise, links_of, peak_dbfs, quick_noise
from unsquash.audio import ArraySource
from unsquash.dsp.compressor import CompressorParams, Detector, Link, Smoothing, compress
from unsquash.dsp.inverse import invert
from unsquash.nets.profile import ProfileNet, ProfileNetConfig
from unsquash.nets.timebase import Timebase
from unsquash.units import Float64Array

SAMPLE_RATE = 44_100
NOTES_HZ = (220.0, 330.0)


def a_recording(seconds: float = 12.0) -> Float64Array:
    """Notes that swell and fade on either side on their own, and hiss far below them."""
    rng, count = np.random.default_rng(0), int(seconds * SAMPLE_RATE)
    times_s = np.arange(count) / SAMPLE_RATE
    channels = []
    for pitch_hz in NOTES_HZ:
        levels_db = rng.uniform(-30.0, -6.0, int(4.0 * seconds) + 2)
        swell = 10.0 ** (np.interp(4.0 * times_s, np.arange(levels_db.size), levels_db) / 20.0)
        channels.append(swell * np.sin(2.0 * np.pi * pitch_hz * times_s))
    return np.array(channels) + 2e-5 * rng.standard_normal((2, count))


def proven(recording: Float64Array, heard: float = 0.0) -> Found | None:
    torch.manual_seed(0)
    net = ProfileNet(ProfileNetConfig(mel_bands=8)).eval()
    excerpts = read_excerpts(ArraySource(recording, SAMPLE_RATE), Timebase.between(SAMPLE_RATE, net.config))
    listeners = [Listener(excerpt, net) for excerpt in excerpts]
    noise, rng = by_noise(listeners), np.random.default_rng(0)
    links = links_of(listeners)
    return prove(quick_noise(listeners), noise, noise, noise, peak_dbfs(listeners), rng, links, heard=heard)


@pytest.mark.parametrize(
    ("link", "detector", "smoothing"),
    [("off", "peak", "none"), ("max", "rms", "linear"), ("mean", "peak", "none")],
)
def test_the_noise_finds_a_compressor_and_how_it_is_built(
    link: Link, detector: Detector, smoothing: Smoothing
) -> None:
    original = a_recording()
    truth = CompressorParams(
        threshold_db=-24.0,
        ratio=4.0,
        detector_attack_ms=8.0,
        detector_release_ms=60.0 if smoothing == "none" else 8.0,
        attack_ms=5.0,
        release_ms=120.0,
        detector=detector,
        smoothing=smoothing,
        link=link,
    )
    squashed = compress(original, SAMPLE_RATE, truth).samples
    found = proven(squashed)
    assert found is not None
    assert found.params.link == link
    assert found.params.smoothing == smoothing
    restored = invert(squashed, SAMPLE_RATE, found.params).samples
    assert metrics.si_sdr_db(original, restored) > metrics.si_sdr_db(original, squashed) + 15.0
    assert proven(squashed, heard=100.0 * found.evidence) is None


def test_even_noise_proves_nothing() -> None:
    assert proven(a_recording()) is None


def test_a_proof_is_one() -> None:
    original = a_recording()
    params = CompressorParams(threshold_db=-24.0, ratio=4.0, attack_ms=5.0, release_ms=120.0, link="max")
    found = proven(compress(original, SAMPLE_RATE, params).samples)
    assert found is not None
    assert found.evidence > PROOF
