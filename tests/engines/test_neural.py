from __future__ import annotations

import numpy as np
import pytest
import torch

from unsquash.engines.neural import NeuralEngine
from unsquash.nets.features import SUBFRAMES, TRACKS
from unsquash.nets.gain import GainNet, GainNetConfig
from unsquash.nets.timebase import Timebase
from unsquash.overlap import Grid, run
from unsquash.units import Float64Array

CONFIG = GainNetConfig(
    mel_bands=16,
    fine_channels=12,
    coarse_channels=12,
    embedding_channels=4,
    coarse_dilations=(1, 2, 4, 8),
    embedding_dilations=(1,),
)
CONDITIONING = np.linspace(-1.0, 1.0, 2 * (4 + 16 + CONFIG.noise_bands + TRACKS * SUBFRAMES))


@pytest.fixture(scope="module")
def net() -> GainNet:
    """A network that is not trained but lively: its gain moves by several dB from frame to frame."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = GainNet(CONFIG).eval()
    torch.nn.init.normal_(net.leave.weight, std=0.5)
    torch.nn.init.normal_(net.modulation.weight, std=0.3)
    return net


def music(sample_rate: int, seconds: float) -> Float64Array:
    rng = np.random.default_rng(0)
    time_s = np.arange(int(sample_rate * seconds)) / sample_rate
    beat = np.exp(-8.0 * (time_s % 0.4))
    tone = np.sin(2 * np.pi * 220 * time_s)
    return np.stack([beat * rng.standard_normal(len(time_s)), tone * beat + 0.2 * tone]) * 0.25


def engine_for(net: GainNet, samples: Float64Array, sample_rate: int) -> NeuralEngine:
    return NeuralEngine(net, sample_rate, samples.shape[0], float(np.abs(samples).max()), CONDITIONING, 1.0)


class Recut:
    """The same engine with another core."""

    def __init__(self, engine: NeuralEngine, core_samples: int) -> None:
        self._engine = engine
        old = engine.grid
        self.grid = Grid(
            core_samples=core_samples,
            context_samples=old.context_samples,
            crossfade_samples=min(core_samples, old.crossfade_samples),
        )

    def start(self) -> None:
        return None

    def gain_db(self, samples: Float64Array, state: None) -> tuple[Float64Array, None]:
        return self._engine.gain_db(samples, state)


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("core_quanta", [31, 64])
def test_chunked_equals_whole_below_minus_80_dbfs(net: GainNet, sample_rate: int, core_quanta: int) -> None:
    samples = music(sample_rate, 4.0)
    engine = engine_for(net, samples, sample_rate)
    quantum = Timebase.between(sample_rate, net.config).quantum_samples
    blocks = np.array_split(samples, 7, axis=1)
    pieces = [gain for _, gain in run(Recut(engine, core_quanta * quantum), blocks)]
    whole_db, _ = engine.gain_db(samples)
    chunked_db = np.concatenate(pieces, axis=1)
    assert chunked_db.shape == whole_db.shape == (1, samples.shape[1])
    assert np.ptp(whole_db) > 2.0
    difference = np.abs(samples) * np.abs(10 ** (chunked_db / 20) - 10 ** (whole_db / 20))
    assert difference.max() < 1e-4


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 48_000, 96_000, 384_000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_the_grid_is_whole_frames_with_enough_context(net: GainNet, sample_rate: int, channels: int) -> None:
    grid = NeuralEngine(net, sample_rate, channels, 1.0, CONDITIONING, 1.0).grid
    quantum = Timebase.between(sample_rate, net.config).quantum_samples
    assert grid.core_samples % quantum == grid.context_samples % quantum == 0
    field_s = net.config.receptive_field_frames * 256 / net.config.sample_rate
    assert grid.context_samples / sample_rate > field_s
    values = (grid.core_samples + 2 * grid.context_samples) * channels
    assert values < 40_000_000


def test_the_gain_ignores_scale_polarity_and_channel_order(net: GainNet) -> None:
    samples = music(44_100, 2.0)
    gain_db, _ = engine_for(net, samples, 44_100).gain_db(samples)
    other = 0.03125 * samples[::-1] * np.array([[1.0], [-1.0]])
    np.testing.assert_allclose(engine_for(net, other, 44_100).gain_db(other)[0], gain_db, atol=1e-3)


def test_mono_equals_dual_mono(net: GainNet) -> None:
    mono = music(44_100, 2.0)[:1]
    double = np.repeat(mono, 2, axis=0)
    one, _ = engine_for(net, mono, 44_100).gain_db(mono)
    two, _ = engine_for(net, double, 44_100).gain_db(double)
    np.testing.assert_allclose(one, two, atol=1e-3)


def test_it_only_ever_restores(net: GainNet) -> None:
    samples = music(44_100, 2.0)
    gain_db, state = engine_for(net, samples, 44_100).gain_db(samples)
    assert state is None
    assert gain_db.dtype == np.float64
    assert gain_db.min() >= 0.0


@pytest.mark.parametrize("length", [1, 63, 1023, 1025])
def test_pieces_shorter_than_a_frame_get_a_gain_too(net: GainNet, length: int) -> None:
    gain_db, _ = NeuralEngine(net, 48_000, 2, 1.0, CONDITIONING, 1.0).gain_db(np.zeros((2, length)))
    assert gain_db.shape == (1, length)
    assert np.isfinite(gain_db).all()


def test_the_amount_scales_the_estimate(net: GainNet) -> None:
    samples = np.random.default_rng(5).uniform(-1.0, 1.0, (2, 30_000))
    whole, _ = NeuralEngine(net, 44_100, 2, 1.0, CONDITIONING, 1.0).gain_db(samples)
    half, _ = NeuralEngine(net, 44_100, 2, 1.0, CONDITIONING, 0.5).gain_db(samples)
    np.testing.assert_allclose(half, 0.5 * whole)
