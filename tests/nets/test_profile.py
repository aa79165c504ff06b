from __future__ import annotations

import numpy as np
import pytest
import torch

from unsquash.errors import OptionError, WeightsCorruptError
from unsquash.nets.device import operations_in
from unsquash.nets.profile import ProfileNet, ProfileNetConfig, build_profile_net
from unsquash.nets.scoring import EncodedExcerpt

TINY = ProfileNetConfig(
    mel_bands=8,
    fine_channels=8,
    coarse_channels=8,
    candidate_fine_channels=4,
    candidate_coarse_channels=8,
    fine_dilations=(1,),
    coarse_dilations=(1, 2),
    candidate_fine_dilations=(1,),
    candidate_coarse_dilations=(1,),
)


@pytest.fixture
def net() -> ProfileNet:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return ProfileNet(TINY).eval()


def seen(net: ProfileNet, frames: int = 200) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(2, net.features.count, frames, generator=generator)
    curves_db = -3.0 * torch.rand(2, 5, frames, generator=generator)
    return features, curves_db, torch.tensor([0.0, 1.0])


def test_a_candidate_is_scored_whatever_its_company(net: ProfileNet) -> None:
    features, curves_db, state_known = seen(net)
    with torch.inference_mode():
        scores = net(features, curves_db, state_known)
        order = torch.tensor([3, 0, 4, 2, 1])
        assert torch.allclose(net(features, curves_db[:, order], state_known), scores[:, order], atol=1e-5)
        assert torch.allclose(net(features, curves_db[:, 2:3], state_known), scores[:, 2:3], atol=1e-5)
    assert scores.shape == (2, 5)
    assert scores.std() > 0.0


def test_channels_and_polarity_do_not_matter(net: ProfileNet) -> None:
    torch.manual_seed(2)
    samples = torch.rand(1, 2, 200 * 256) * 2 - 1
    swapped = torch.flip(samples, (1,)) * torch.tensor([[[1.0], [-1.0]]])
    assert torch.allclose(net.features(samples), net.features(swapped), atol=1e-4)


def test_stored_weights_come_back(net: ProfileNet) -> None:
    tensors = {name: value for name, value in net.state_dict().items() if value.is_floating_point()}
    again = build_profile_net(net.config.to_json(), tensors)
    views = seen(net)
    with torch.inference_mode():
        assert torch.equal(again(*views), net(*views))


def test_other_files_are_refused(net: ProfileNet) -> None:
    with pytest.raises(WeightsCorruptError):
        build_profile_net("{}", {})
    with pytest.raises(WeightsCorruptError):
        build_profile_net("nonsense", {})
    with pytest.raises(OptionError):
        ProfileNetConfig(fine_dilations=(0,))


def test_an_encoded_excerpt_scores_as_the_network_does_at_any_level(net: ProfileNet) -> None:
    rng = np.random.default_rng(0)
    samples = rng.uniform(-1.0, 1.0, (2, 200 * 256))
    curves_db = -6.0 * rng.random((150, 200)).astype(np.float32)
    loud, quiet = (EncodedExcerpt(scale * samples, net) for scale in (1.0, 0.01))
    scores = loud.scores(curves_db, state_known=True)
    assert scores.shape == (150,)
    assert np.allclose(quiet.scores(curves_db, state_known=True), scores, atol=1e-4)
    assert not np.allclose(loud.scores(curves_db, state_known=False), scores)
    scaled = torch.from_numpy((samples / np.abs(samples).max()).astype(np.float32))[None]
    with torch.inference_mode():
        direct = net(net.features(scaled), torch.from_numpy(curves_db)[None], torch.ones(1))[0]
    assert np.allclose(scores, direct.numpy(), atol=1e-4)


def test_the_number_of_threads_is_given_back() -> None:
    before = torch.get_num_threads()
    with operations_in(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
