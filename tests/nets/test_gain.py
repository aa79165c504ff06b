from __future__ import annotations

import pytest
import torch

from unsquash.errors import OptionError, WeightsCorruptError
from unsquash.nets.gain import COARSE_FRAMES, GainNet, GainNetConfig, build_gain_net

SMALL = GainNetConfig(
    mel_bands=8,
    fine_channels=6,
    coarse_channels=6,
    embedding_channels=4,
    fine_dilations_before=(1,),
    coarse_dilations=(1, 2),
    fine_dilations_after=(1, 2),
    embedding_dilations=(1,),
)


@pytest.fixture
def net() -> GainNet:
    torch.manual_seed(0)
    net = GainNet(SMALL).eval()
    torch.nn.init.normal_(net.leave.weight)
    torch.nn.init.normal_(net.modulation.weight)
    return net


def run(net: GainNet, features: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return net(features, net.pool(net.embed(features)))


def test_gives_four_values_a_frame_and_never_a_negative_reduction(net: GainNet) -> None:
    reduction_db = run(net, torch.randn(3, net.features.count, 40))
    assert reduction_db.shape == (3, 160)
    assert reduction_db.min() >= 0.0
    assert reduction_db.std() > 0.1


def test_the_receptive_field_is_what_the_sizes_say(net: GainNet) -> None:
    window_frames = 2
    field = net.config.receptive_field_frames - window_frames
    features = torch.randn(1, net.features.count, 400)
    changed = features.clone()
    changed[:, :, 200] += 3.0
    conditioning = torch.randn(1, net.conditioning_size)
    with torch.inference_mode():
        differs = (net(features, conditioning) != net(changed, conditioning))[0].nonzero().flatten() // 4
    reach = max(200 - int(differs.min()), int(differs.max()) - 200)
    assert field - COARSE_FRAMES <= reach <= field


def test_conditioning_changes_the_answer(net: GainNet) -> None:
    features = torch.randn(1, net.features.count, 40)
    size = net.conditioning_size
    with torch.inference_mode():
        assert not torch.allclose(net(features, torch.zeros(1, size)), net(features, torch.ones(1, size)))


def test_dropout_acts_while_training_only(net: GainNet) -> None:
    features = torch.randn(1, net.features.count, 64)
    forgetful = GainNet(net.config, dropout=0.5)
    forgetful.load_state_dict(net.state_dict())
    forgetful.eval()
    conditioning = net.pool(net.embed(features))
    assert torch.equal(forgetful(features, conditioning), net(features, conditioning))
    forgetful.train()
    assert not torch.equal(forgetful.embed(features), forgetful.embed(features))
    assert not torch.equal(forgetful(features, conditioning), forgetful(features, conditioning))


def test_noise_is_heard_against_its_mean_over_the_file(net: GainNet) -> None:
    config = net.config
    normalized = torch.zeros(1, net.features.count, 1, 8)
    noise = normalized[0, config.mel_bands : config.mel_bands + config.noise_bands, 0]
    noise += torch.arange(config.noise_bands)[:, None]
    conditioning = torch.zeros(1, net.conditioning_size)
    conditioning[0, config.embedding_channels + config.mel_bands :][: config.noise_bands] = noise[:, 0]
    assert net._moving_noise(normalized, conditioning).abs().max() == 0.0
    noise[:, 4] += 0.1
    noise[:, 5] -= 100.0
    moving = net._moving_noise(normalized, conditioning)[0, :, 0]
    assert (moving[:, :4] == 0.0).all()
    torch.testing.assert_close(moving[:, 4:6], torch.tensor([[0.4, -3.0]]).expand(len(moving), 2))


def test_pooling_is_a_weighted_mean_and_deviation_over_all_windows() -> None:
    first = torch.tensor([[1.0, 2.0, 4.0]])
    second = torch.tensor([[3.0, 12.0, 48.0]])
    mean, deviation = GainNet.pool(first + second)[0]
    assert float(mean) == pytest.approx(14.0 / 4.0)
    assert float(deviation) == pytest.approx((52.0 / 4.0 - 3.5**2) ** 0.5)


def test_sums_of_a_window_are_weights_times_values(net: GainNet) -> None:
    sums = net.embed(torch.randn(2, net.features.count, 40)).detach()
    assert sums.shape == (2, 1 + net.conditioning_size)
    assert 0.0 < float(sums[:, 0].min()) <= float(sums[:, 0].max()) < 10.0


def test_assessment_is_one_logit_a_verdict_and_positive_amounts(net: GainNet) -> None:
    with torch.inference_mode():
        assessment = net.assess(torch.randn(5, net.conditioning_size))
    assert assessment.logits.shape == assessment.reduction_db.shape == (5, 3)
    assert float(assessment.reduction_db.min()) > 0.0


def test_stored_sizes_and_half_precision_tensors_rebuild_the_network(net: GainNet) -> None:
    tensors = {k: v.half() for k, v in net.state_dict().items() if v.is_floating_point()}
    rebuilt = build_gain_net(net.config.to_json(), tensors)
    assert rebuilt.config == net.config
    assert not rebuilt.training
    features = torch.randn(1, net.features.count, 40)
    torch.testing.assert_close(run(rebuilt, features), run(net, features), atol=0.1, rtol=0.02)


@pytest.mark.parametrize(
    "config", ["", "[]", "not json", '{"fine_channels": 6, "colour": 1}', '{"mel_bands": 7}']
)
def test_a_foreign_configuration_is_refused(net: GainNet, config: str) -> None:
    with pytest.raises(WeightsCorruptError) as caught:
        build_gain_net(config, net.state_dict())
    assert caught.value.hint


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(OptionError):
        GainNetConfig(fine_channels=0)
