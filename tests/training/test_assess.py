from __future__ import annotations

import numpy as np
import torch

from unsquash.nets.gain import GainNet, GainNetConfig
from unsquash.training.assess import fit_assessor
from unsquash.training.calibrate import judge
from unsquash.training.examples import NetExample


def an_example(seed: int) -> NetExample:
    """An excerpt whose first feature tells what was done to it."""
    rng = np.random.default_rng(seed)
    verdict = seed % 3
    features = rng.standard_normal((28, 64)).astype(np.float16)
    features[0] += 3 * (verdict - 1)
    return NetExample(
        features=features,
        reduction_db=np.zeros(256, dtype=np.float16),
        energy=np.ones(256, dtype=np.float32),
        verdict=verdict,
        amount_db=np.full(3, verdict, dtype=np.float32),
    )


def test_the_head_learns_what_the_vectors_tell_and_nothing_else_changes() -> None:
    torch.manual_seed(0)
    net = GainNet(GainNetConfig(mel_bands=8, fine_channels=4, coarse_channels=4, embedding_channels=4)).eval()
    before = {name: value.clone() for name, value in net.state_dict().items() if "assessor" not in name}
    loss = fit_assessor(net, [an_example(seed) for seed in range(150)], seed=0, steps=400)
    assert loss < 0.8
    judged = judge(net, [an_example(seed) for seed in range(150, 180)])
    assert ((judged.probability > 0.5) == (judged.squashed > 0)).mean() > 0.9
    for name, value in before.items():
        torch.testing.assert_close(net.state_dict()[name], value)
