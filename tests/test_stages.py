"""Networks are loaded once, but never another file's than the one that is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from unsquash.analysis.diagnosis import analyze
from unsquash.audio import ArraySource
from unsquash.dsp.compressor import CompressorParams
from unsquash.nets.gain import GainNet, GainNetConfig
from unsquash.options import RestoreOptions
from unsquash.plan import HybridInversion, NeuralInversion, Plan
from unsquash.stages import network_on, restored_blocks, suspects_of
from unsquash.training.checkpoint import save_net

PROFILES = (
    "name,threshold_dbfs,ratio,detector_attack_ms,detector_release_ms,"
    "gain_attack_ms,gain_release_ms,detector_order\n"
)


def save(path: Path, seed: int) -> None:
    torch.manual_seed(seed)
    save_net(GainNet(GainNetConfig(mel_bands=8, fine_channels=4, coarse_channels=4)), path)


def test_a_model_file_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save(path, 0)
    first = network_on("cpu", str(path))
    assert network_on("cpu", str(path)) is first
    save(path, 1)
    second = network_on("cpu", str(path))
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_a_profile_set_that_was_edited_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(PROFILES + "mine,-20,2,1,50,,,2\n")
    assert suspects_of("cpu", str(path)).known["mine"].ratio == 2.0
    path.write_text(PROFILES + "mine,-20,3,1,50,,,2\n")
    edited = suspects_of("cpu", str(path))
    assert edited.known["mine"].ratio == 3.0
    assert edited.net is suspects_of("cpu", "five").net


@pytest.mark.parametrize("linked", [True, False])
def test_the_share_of_a_network_is_unlinked_if_so_planned(tmp_path: Path, linked: bool) -> None:
    rng = np.random.default_rng(1)
    source = ArraySource(rng.uniform(-0.5, 0.5, (2, 40_000)) * [[1.0], [0.1]], 44_100)
    save(tmp_path / "m.safetensors", 0)
    options = RestoreOptions(method="neural", model=str(tmp_path / "m.safetensors"))
    net = network_on("cpu", options.model)
    assert isinstance(net, GainNet)
    diagnosis = analyze(source, net=net)
    neural = NeuralInversion(model=options.model, linked=linked, max_gain_db=24.0)
    stage = HybridInversion(
        params=CompressorParams(threshold_db=-20.0, ratio=2.0, link="max"),
        share=0.5,
        least_db=0.0,
        neural=neural,
        max_gain_db=24.0,
    )
    gains = []
    plan = Plan(stages=(stage,), reasons=())
    for _ in restored_blocks(
        source, plan, diagnosis, options, net, 0, 40_000, lambda _, gain_db: gains.append(gain_db)
    ):
        pass
    gain_db = np.concatenate(gains, axis=1)
    assert (np.ptp(gain_db, axis=0).max() > 0.01) is not linked
