from __future__ import annotations

import numpy as np
import pytest
import torch

import unsquash.nets.features as feature_module
from unsquash.nets.features import (
    FRAME_SAMPLES,
    SUBFRAME_SAMPLES,
    SUBFRAMES,
    TRACKS,
    Features,
    mel_filterbank,
    noise_filterbank,
)

BANDS = 12


@pytest.fixture
def features() -> Features:
    return Features(BANDS, 44_100)


@pytest.fixture
def stereo() -> torch.Tensor:
    return 0.3 * torch.randn((1, 2, 16 * FRAME_SAMPLES), generator=torch.Generator().manual_seed(0))


def test_swapped_inverted_and_doubled_channels_look_the_same(
    features: Features, stereo: torch.Tensor
) -> None:
    plain = features(stereo)
    flipped = stereo.flip(1) * torch.tensor([[[1.0], [-1.0]]])
    torch.testing.assert_close(features(flipped), plain)
    mono = stereo[:, :1]
    torch.testing.assert_close(features(mono.expand(1, 5, -1)), features(mono))


def test_a_frame_sees_only_its_window(features: Features, stereo: torch.Tensor) -> None:
    changed = stereo.clone()
    changed[..., 8 * FRAME_SAMPLES : 9 * FRAME_SAMPLES] = 0.0
    differs = (features(changed) != features(stereo)).any(1)[0]
    assert differs.nonzero().flatten().tolist() == [6, 7, 8, 9, 10]


def test_tiles_leave_no_seams(
    features: Features, stereo: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = features(stereo)
    for tile in (1, 3, 5):
        monkeypatch.setattr(feature_module, "TILE_FRAMES", tile)
        monkeypatch.setattr(feature_module, "LEVEL_TILE_FRAMES", tile)
        torch.testing.assert_close(features(stereo), whole)


def test_level_tracks_of_a_square_wave_at_the_ceiling(features: Features) -> None:
    square = torch.ones((1, 1, 4 * FRAME_SAMPLES))
    square[..., ::2] = -1.0
    tracks = features(square)[0, BANDS:, 1].reshape(TRACKS, SUBFRAMES)
    peak, rms, difference, touching, flat, at_ceiling, near = tracks
    assert peak.abs().max() < 1e-3
    assert rms.abs().max() < 1e-6
    torch.testing.assert_close(difference, torch.full((SUBFRAMES,), float(np.log10(2.0))))
    assert touching.tolist() == flat.tolist() == at_ceiling.tolist() == [4.0] * SUBFRAMES
    torch.testing.assert_close(near, torch.full((SUBFRAMES,), 4.0))


@pytest.mark.parametrize(("below_db", "at", "near"), [(0.005, 4.0, 3.98), (0.1, 0.0, 3.6), (2.0, 0.0, 0.0)])
def test_peaks_at_the_ceiling_and_near_to_it(
    features: Features, below_db: float, at: float, near: float
) -> None:
    samples = torch.zeros((1, 2, 4 * FRAME_SAMPLES))
    samples[0, 1, 32::SUBFRAME_SAMPLES] = -(10.0 ** (-below_db / 20.0))
    tracks = features(samples)[0, BANDS:, 1].reshape(TRACKS, SUBFRAMES)
    assert tracks[5].tolist() == [at] * SUBFRAMES
    torch.testing.assert_close(tracks[6], torch.full((SUBFRAMES,), near), atol=1e-3, rtol=0.0)


def test_peaks_from_before_resampling_count(features: Features) -> None:
    samples = 0.9 * torch.ones((1, 1, 4 * FRAME_SAMPLES))
    peaks = torch.full((1, 4 * SUBFRAMES), 0.5)
    peaks[0, SUBFRAMES] = 1.0
    tracks = features(samples, peaks)[0, BANDS:, 1].reshape(TRACKS, SUBFRAMES)
    assert tracks[5].tolist() == [4.0, 0.0, 0.0, 0.0]
    torch.testing.assert_close(
        tracks[0, 1:].exp2(), torch.full((3,), np.log10(0.5)).float().exp2(), atol=1e-3, rtol=0.0
    )


def test_silence_is_finite(features: Features) -> None:
    assert torch.isfinite(features(torch.zeros((1, 2, 4 * FRAME_SAMPLES)))).all()


@pytest.mark.parametrize("sample_rate", [40_500, 44_100])
def test_mel_filters_sum_to_one_and_cover_in_order(sample_rate: int) -> None:
    filters = mel_filterbank(40, sample_rate)
    np.testing.assert_allclose(filters.sum(axis=1), 1.0)
    centres = filters @ np.arange(filters.shape[1])
    assert (np.diff(centres) >= 0).all()
    assert (filters >= 0).all()


@pytest.mark.parametrize("bands", [1, 22])
def test_noise_bands_are_all_there_is_once(bands: int) -> None:
    filters = noise_filterbank(bands)
    np.testing.assert_allclose(filters.sum(axis=1), 1.0)
    assert ((filters > 0).sum(axis=0) == 1).all()
    widths = (filters > 0).sum(axis=1)
    assert widths.max() - widths.min() <= 1
    assert noise_filterbank(0).shape == (0, filters.shape[1])


def test_rounding_noise_tells_the_gain() -> None:
    """Above loud music with nothing over 8 kHz, the noise of 16 bits moves with whatever moved the music."""
    rng, length = np.random.default_rng(0), 256 * FRAME_SAMPLES
    times = np.arange(length) / 44_100.0
    music = 0.2 * sum(np.sin(2.0 * np.pi * f * times + f) for f in (110.0, 440.0, 3000.0))
    original = np.round(32_767.0 * music + rng.uniform(-0.5, 0.5, (2, 2, length)).sum(0)) / 32_767.0
    gain_db = 4.0 * np.sin(2.0 * np.pi * 1.5 * times) + 8.0
    squashed = original * 10.0 ** (gain_db / 20.0)
    squashed = np.round(32_767.0 * squashed / np.abs(squashed).max()) / 32_767.0
    seen = Features(BANDS, 44_100, 22)(torch.tensor(squashed[None], dtype=torch.float32))[0].numpy()
    assert len(seen) == BANDS + 22 + TRACKS * SUBFRAMES
    inside = slice(2, -2)  # the edges of the excerpt are edges of the music, too
    heard_db = 10.0 * seen[BANDS + 10 : BANDS + 22, inside].mean(axis=0)
    true_db = gain_db.reshape(-1, FRAME_SAMPLES).mean(axis=1)[inside]
    assert np.corrcoef(heard_db, true_db)[0, 1] > 0.98
    assert 0.7 < np.polyfit(true_db, heard_db, 1)[0] < 1.0  # the noise of rounding anew is even
    np.testing.assert_allclose(seen[BANDS], -7.5, atol=1e-3)  # music; the mel bands see more of it


def test_other_features_are_the_same_with_noise_bands(features: Features, stereo: torch.Tensor) -> None:
    plain, more = features(stereo), Features(BANDS, 44_100, 5)(stereo)
    torch.testing.assert_close(torch.cat([more[:, :BANDS], more[:, BANDS + 5 :]], dim=1), plain)
