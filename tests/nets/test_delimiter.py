from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from delimiter_input import clipped_beat

from unsquash.errors import OptionError, WeightsCorruptError
from unsquash.nets.delimiter import Delimiter, DelimiterConfig, build_delimiter
from unsquash.nets.published import published_config, published_tensors

DATA = Path(__file__).parent / "data"
PARITY = 1e-5


def settings(**network):
    network = {
        "n_filters": 12, "kernel_size": 16, "stride": 8, "n_blocks": 3, "n_repeats": 2, "bn_chan": 6,
        "hid_chan": 10, "skip_chan": 5, "encoder_activation": "relu", "mask_act": "relu",
        "decoder_activation": "sigmoid", **network,
    }  # fmt: skip
    return {
        "conv_tasnet_params": network,
        "data_params": {"sample_rate": 44100, "nb_channels": 2},
        "model_loss_params": {"architecture": "conv_tasnet_mask_on_output"},
    }


@pytest.fixture(scope="module")
def tiny() -> Delimiter:
    with np.load(DATA / "delimiter_tiny.npz") as recorded:
        tensors = {
            name: torch.from_numpy(recorded[name])
            for name in recorded.files
            if name.startswith(("encoder.", "masker.", "decoder."))
        }
    return build_delimiter(published_config(settings()).to_json(), published_tensors(tensors))


def test_equal_to_the_original_implementation_on_random_weights(tiny):
    with np.load(DATA / "delimiter_tiny.npz") as recorded:
        expected = recorded["gain"]
    samples = torch.from_numpy(clipped_beat(seed=2, samples=1003))[None]
    gain, _ = tiny(samples)
    assert expected.std() > 0.05
    assert np.abs(gain[0].numpy() - expected).max() < PARITY


def test_given_its_own_moments_nothing_changes(tiny):
    samples = torch.from_numpy(clipped_beat(seed=3, samples=2000))[None]
    gain, moments = tiny(samples)
    again, same = tiny(samples, moments)
    assert torch.allclose(gain, again, atol=1e-6)
    assert torch.equal(moments, same)
    assert moments.shape == (tiny.norms, 2)


def test_fixed_moments_make_a_piece_equal_to_the_whole(tiny):
    reach, stride = tiny.config.receptive_field_samples, tiny.config.stride_samples
    samples = torch.from_numpy(clipped_beat(seed=4, samples=stride * 600))[None]
    gain, moments = tiny(samples)
    start, stop = stride * 200, stride * 400
    piece, _ = tiny(samples[:, :, start:stop], moments)
    assert torch.allclose(piece[:, reach:-reach], gain[:, start + reach : stop - reach], atol=1e-6)
    free, _ = tiny(samples[:, :, start:stop])
    assert not torch.allclose(free[:, reach:-reach], gain[:, start + reach : stop - reach], atol=1e-4)


def test_the_receptive_field_is_as_stated(tiny):
    reach, stride = tiny.config.receptive_field_samples, tiny.config.stride_samples
    samples = torch.from_numpy(clipped_beat(seed=5, samples=stride * 400))[None]
    gain, moments = tiny(samples)
    at = stride * 200
    samples = samples.clone()
    samples[:, :, at] += 0.5
    changed = (tiny(samples, moments)[0] != gain).nonzero()[:, 1]
    assert len(changed)
    assert at - reach <= changed.min()
    assert changed.max() <= at + reach


def test_the_moments_of_a_batch_are_pooled(tiny):
    samples = torch.from_numpy(clipped_beat(seed=6, samples=1600)).reshape(2, 2, 800).transpose(0, 1)
    _, pooled = tiny(samples.contiguous())
    first = [tiny(item[None])[1][0, 0] for item in samples]
    assert pooled[0, 0] == pytest.approx(float(sum(first)) / 2, rel=1e-5)


def test_sizes_of_the_published_network():
    config = DelimiterConfig()
    net = Delimiter(config)
    assert sum(p.numel() for p in net.parameters()) == 2_345_109
    assert config.receptive_field_samples == 4160
    assert DelimiterConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("text", ["", "[]", "3", '{"filters": 0}', '{"filters": "many"}', '{"colour": 1}'])
def test_other_configurations_are_refused(text):
    with pytest.raises(WeightsCorruptError):
        DelimiterConfig.from_json(text)


def test_impossible_sizes_are_refused():
    with pytest.raises(OptionError, match="positive"):
        DelimiterConfig(blocks=0)
    with pytest.raises(OptionError, match="stride"):
        DelimiterConfig(stride_samples=256)


def test_both_generations_of_settings_are_read():
    older = settings()
    newer = {"args": settings(norm_type={}), "best_epoch": 196}
    assert published_config(older) == published_config(newer)
    assert published_config(older).bottleneck_channels == 6


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"args": {}},
        {"args": None},
        settings(n_filters=None),
        settings(n_filters=0),
        settings(norm_type="BN"),
        settings(decoder_activation="relu"),
        {**settings(), "model_loss_params": {"architecture": "conv_tasnet"}},
    ],
)
def test_settings_of_another_network_are_refused(broken):
    with pytest.raises(WeightsCorruptError):
        published_config(broken)


def test_missing_tensors_are_refused(tiny):
    tensors = dict(tiny.state_dict())
    del tensors["blocks.0.skip.weight"]
    with pytest.raises(WeightsCorruptError, match="fit"):
        build_delimiter(tiny.config.to_json(), tensors)
