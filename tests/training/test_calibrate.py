from __future__ import annotations

import numpy as np
import torch

from unsquash.analysis.dynamics import SQUASHED_PROBABILITY
from unsquash.nets.gain import GainNet, GainNetConfig
from unsquash.training.calibrate import THRESHOLDS, Judged, judge, table
from unsquash.training.examples import NetExample


def test_the_table_weighs_misses_against_harm() -> None:
    judged = Judged(
        squashed=np.array([0.0, 0.0, 1.0, 1.0]),
        probability=np.array([0.05, 0.75, 0.55, 0.999]),
        gain_db=np.array([-1.0, -3.0, 2.0, 4.0]),
    )
    rows = dict(zip(THRESHOLDS, table(judged).splitlines()[2:], strict=True))
    assert rows[0.5] == "| 0.500 | 50.0 % | 0.0 % | +3.00 dB | 25.0 % |"
    assert rows[0.7] == "| 0.700 | 50.0 % | 50.0 % | +2.00 dB | 25.0 % |"
    assert rows[0.8] == "| 0.800 | 100.0 % | 50.0 % | +2.00 dB | 0.0 % |"


def test_the_table_has_the_line_that_is_drawn() -> None:
    assert SQUASHED_PROBABILITY in THRESHOLDS


def test_judging_reports_truth_and_belief_and_that_a_constant_gain_gains_nothing() -> None:
    torch.manual_seed(0)
    net = GainNet(GainNetConfig(mel_bands=8, fine_channels=4, coarse_channels=4, embedding_channels=4)).eval()
    with torch.no_grad():
        net.leave.weight.zero_()
        net.leave.bias.zero_()
        net.judge.layers[2].weight.zero_()
        net.judge.layers[2].bias[:] = torch.tensor([np.log(3.0), 0.0, 0.0])
    features = np.zeros((58, 64), dtype=np.float16)
    reduction_db = np.tile([0.0, 6.0], 128).astype(np.float16)
    examples = [
        NetExample(
            features=features,
            reduction_db=reduction_db * (verdict > 0),
            energy=np.ones(256, dtype=np.float32),
            verdict=verdict,
            amount_db=np.zeros(3, dtype=np.float32),
        )
        for verdict in (0, 2)
    ]
    judged = judge(net, examples)
    assert judged.squashed.tolist() == [0.0, 1.0]
    np.testing.assert_allclose(judged.probability, 0.75, atol=1e-6)
    np.testing.assert_allclose(judged.gain_db, 0.0, atol=1e-4)
