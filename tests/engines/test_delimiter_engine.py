from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soxr
import torch

from unsquash import RestoreOptions, restore
from unsquash.audio import ArraySource
from unsquash.engines import delimiter
from unsquash.engines.delimiter import REST_GAIN_DB, DelimiterEngine
from unsquash.errors import WeightsUnavailableError
from unsquash.nets.delimiter import Delimiter, DelimiterConfig
from unsquash.options import Position
from unsquash.overlap import run
from unsquash.weights import find_entry, load_net, verified_path

TESTS = Path(__file__).parents[1]
DATA = TESTS / "nets" / "data"
sys.path.insert(0, str(TESTS / "nets"))

from delimiter_input import clipped_beat  # noqa: E402


@pytest.fixture(scope="module")
def tiny() -> Delimiter:
    """A small network with the published strides and reach; its weights are random."""
    torch.manual_seed(3)
    net = Delimiter(DelimiterConfig(filters=24, bottleneck_channels=8, hidden_channels=12, skip_channels=8))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    return net.eval()


@pytest.fixture(scope="module")
def published() -> Delimiter:
    """The published weights, where this machine has them."""
    try:
        verified_path(find_entry("delimiter-2023"))
    except WeightsUnavailableError:
        pytest.skip("the published weights are not here: unsquash models pull delimiter-2023")
    net = load_net("delimiter-2023")
    assert isinstance(net, Delimiter)
    return net


def gains(engine, source):
    return np.concatenate([gain_db for _, gain_db in run(engine, source.blocks())], axis=1)[0]


def beat(seconds, seed=1):
    return clipped_beat(seed=seed, samples=int(seconds * 44100)).astype(np.float64)


def test_the_published_weights_give_the_published_gain(published):
    gain, _ = published(torch.from_numpy(clipped_beat(seed=1, samples=3 * 44100))[None])
    with np.load(DATA / "delimiter_published.npz") as recorded:
        for name, part in (
            ("first", slice(4096)),
            ("middle", slice(60000, 68192)),
            ("last", slice(-4096, None)),
        ):
            assert np.abs(gain[0, part].numpy() - recorded[name]).max() < 1e-5


def test_a_short_file_gets_what_the_original_gives_less_its_rest(tiny):
    samples = beat(3)[:, : 64 * 2000]
    expected, _ = tiny(torch.from_numpy(samples).float()[None])
    found = gains(DelimiterEngine(tiny, ArraySource(samples, 44100)), ArraySource(samples, 44100))
    assert np.abs(10 ** ((found + REST_GAIN_DB) / 20) - expected[0].numpy()).max() < 1e-5


def test_chunks_of_any_size_agree(tiny, monkeypatch):
    monkeypatch.setattr(delimiter, "WINDOW_S", 0.1)
    source = ArraySource(beat(5), 44100)
    found = []
    for core_s in (4.0, 1.3, 0.7):
        monkeypatch.setattr(delimiter, "CORE_S", core_s)
        engine = DelimiterEngine(tiny, source)
        assert abs(engine.grid.core_samples - core_s * 44100) < 1024
        found.append(gains(engine, source))
    assert found[0].std() > 0.1
    assert max(np.abs(other - found[0]).max() for other in found[1:]) < 1e-3


def test_a_long_file_gets_nearly_what_it_would_in_one_piece(tiny, monkeypatch):
    source = ArraySource(beat(6.5), 44100)
    whole = gains(DelimiterEngine(tiny, source), source)
    monkeypatch.setattr(delimiter, "WINDOW_S", 0.25)
    engine = DelimiterEngine(tiny, source)
    assert engine.grid.core_samples < source.info.frames
    found = gains(engine, source)
    assert np.abs(found - whole).max() > 0.0
    assert np.sqrt(np.mean((found - whole) ** 2)) < 0.1 * whole.std()


def test_a_part_gets_what_the_whole_file_gives_it(published):
    samples = beat(3)
    options = RestoreOptions(method="neural", model="delimiter-2023")
    whole = restore(samples, 44100, options).samples
    part = replace(options, start=Position(value=1.0), end=Position(value=2.0))
    assert np.abs(restore(samples, 44100, part).samples - whole[:, 44100:88200]).max() < 1e-6


class Echo(torch.nn.Module):
    """Stands for the network: its gain is what it hears on the left, so its sense of time can be seen."""

    def __init__(self) -> None:
        super().__init__()
        self.config = DelimiterConfig()
        self.nothing = torch.nn.Parameter(torch.zeros(1))

    def forward(self, samples, moments=None):
        return samples[:, 0].clamp(0.01, 1.0), torch.zeros(1)


@pytest.mark.parametrize("sample_rate", [8000, 22050, 44100, 44101, 48000, 96000, 192000])
def test_gains_are_in_time_at_any_rate(sample_rate, monkeypatch):
    monkeypatch.setattr(delimiter, "WINDOW_S", 0.1)
    time = np.arange(int(6.5 * sample_rate)) / sample_rate
    wanted = 0.4 + 0.3 * np.sin(2 * np.pi * 60 * time)
    source = ArraySource(np.stack([wanted, np.zeros_like(wanted)]), sample_rate)
    found = gains(DelimiterEngine(Echo(), source), source)
    assert len(found) == len(wanted)
    inside = slice(sample_rate // 10, -sample_rate // 10)
    error = 10 ** ((found + REST_GAIN_DB) / 20) - wanted
    assert np.abs(error[inside]).max() < 2e-3


@pytest.mark.slow
def test_other_rates_give_nearly_the_same_gain(published):
    samples = beat(3)
    other = soxr.resample(samples.T, 44100, 48000).T
    expected = gains(DelimiterEngine(published, ArraySource(samples, 44100)), ArraySource(samples, 44100))
    found = gains(DelimiterEngine(published, ArraySource(other, 48000)), ArraySource(other, 48000))
    at = np.arange(len(expected)) * (48000 / 44100)
    found = np.interp(at, np.arange(len(found)), found)
    assert np.corrcoef(found[9000:-9000], expected[9000:-9000])[0, 1] > 0.9


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
@pytest.mark.parametrize("frames", [1, 63, 127, 128, 1000, 70_001])
def test_any_channels_and_length(tiny, channels, frames):
    samples = np.repeat(beat(2), 3, axis=0)[:channels, :frames]
    engine = DelimiterEngine(tiny, ArraySource(samples, 44100))
    gain_db, state = engine.gain_db(samples, engine.start())
    assert gain_db.shape == (1, frames)
    assert state is None
    assert np.isfinite(gain_db).all()
    assert gain_db.max() <= -REST_GAIN_DB


def test_mono_is_heard_as_two_equal_channels(tiny):
    samples = beat(1)[:1]
    twice = np.repeat(samples, 2, axis=0)
    mono = gains(DelimiterEngine(tiny, ArraySource(samples, 44100)), ArraySource(samples, 44100))
    stereo = gains(DelimiterEngine(tiny, ArraySource(twice, 44100)), ArraySource(twice, 44100))
    assert np.array_equal(mono, stereo)


def test_silence_is_finite(tiny):
    source = ArraySource(np.zeros((2, 50_000)), 44100)
    assert np.isfinite(gains(DelimiterEngine(tiny, source), source)).all()


def test_what_needs_nothing_keeps_its_level(published):
    time = np.arange(2 * 44100) / 44100
    samples = 0.1 * np.stack([np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 550 * time)])
    result = restore(samples, 44100, RestoreOptions(method="neural", model="delimiter-2023"))
    middle = slice(8000, -8000)
    assert np.abs(result.gain_db[:, middle]).max() < 0.2


def test_it_undoes_some_clipping(published):
    """On its own ground the network must help: SI-SDR against the original rises."""
    random = np.random.default_rng(4)
    time = np.arange(4 * 44100) / 44100
    original = np.exp(-9 * (time % 0.3)) * random.standard_normal((2, len(time))) * 0.5
    original += 0.1 * np.sin(2 * np.pi * 110 * time)
    squashed = np.clip(original, -0.35, 0.35)
    result = restore(squashed, 44100, RestoreOptions(method="neural", model="delimiter-2023"))

    def si_sdr_db(estimate):
        scaled = original * (estimate * original).sum() / (original**2).sum()
        return 10 * np.log10((scaled**2).sum() / ((estimate - scaled) ** 2).sum())

    assert si_sdr_db(result.samples) > si_sdr_db(squashed) + 0.2
