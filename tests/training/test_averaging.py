"""Between two networks."""

from __future__ import annotations

import pytest
import torch

from unsquash.errors import WeightsCorruptError
from unsquash.nets.gain import GainNet, GainNetConfig
from unsquash.training.averaging import averaged, main
from unsquash.training.checkpoint import load_net, save_net

SIZES = {
    "mel_bands": 8,
    "fine_channels": 6,
    "coarse_channels": 6,
    "embedding_channels": 4,
    "fine_dilations_before": (1,),
    "coarse_dilations": (1,),
    "fine_dilations_after": (1,),
    "embedding_dilations": (1,),
}


def network(seed: int, **changes: int) -> GainNet:
    torch.manual_seed(seed)
    return GainNet(GainNetConfig(**(SIZES | changes))).eval()


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_every_weight_lies_between(share):
    before, after = network(0), network(1)
    expected = (1 - share) * before.enter.weight + share * after.enter.weight
    torch.testing.assert_close(averaged(before, after, share).enter.weight, expected)


def test_only_networks_of_one_size_have_a_mean():
    with pytest.raises(WeightsCorruptError, match="differ in size"):
        averaged(network(0), network(1, fine_channels=8), 0.5)


def test_from_files_to_a_file(tmp_path):
    for seed in (0, 1):
        save_net(network(seed), tmp_path / f"{seed}.safetensors")
    main(
        [
            *(str(tmp_path / f"{seed}.safetensors") for seed in (0, 1)),
            "--out",
            str(tmp_path / "mean.safetensors"),
        ]
    )
    mean = load_net(tmp_path / "mean.safetensors")
    expected = averaged(network(0), network(1), 0.5)
    torch.testing.assert_close(
        mean.leave.weight, expected.leave.weight, rtol=2e-3, atol=1e-4
    )  # stored in half precision
