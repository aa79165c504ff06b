"""Networks are loaded once, but never another file's than the one that is there."""

from __future__ import annotations

from pathlib import Path

import torch

from unsquash.nets.gain import GainNet, GainNetConfig
from unsquash.stages import network_on, suspects_of
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
