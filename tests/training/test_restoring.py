"""The table of restorations, on one recording."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from unsquash.dsp.compressor import compress
from unsquash.dsp.profiles import load_profile_set
from unsquash.errors import OptionError
from unsquash.nets.profile import EXCERPT_SAMPLES
from unsquash.training.corpus import SAMPLE_RATE
from unsquash.training.profiles import refining, restoring
from unsquash.training.profiles.restoring import EXACT_DB, measure, restore_every_way, summarize
from unsquash.units import Float64Array
from unsquash.weights import load_profile_net


def test_every_way_restores_the_same_recording(song_18_s: Float64Array) -> None:
    torch.set_num_threads(1)
    original = song_18_s[:, :EXCERPT_SAMPLES]
    known = {
        name: params for name, params in load_profile_set("five").items() if name in ("five/B", "five/E")
    }
    truth = replace(known["five/E"], link="max")
    squashed = compress(original, SAMPLE_RATE, truth).samples
    ways = restore_every_way(squashed, truth, known, load_profile_net("profile-small"), None)
    assert list(ways) == ["nothing", "true settings", "classified", "searched", "neural", "auto"]
    assert all(samples.shape == original.shape for samples in ways.values())
    row = {way: measure(original, samples) for way, samples in ways.items()}
    assert np.array_equal(ways["nothing"], squashed)
    assert row["true settings"]["si_sdr_db"] == EXACT_DB
    assert row["classified"]["si_sdr_db"] > row["nothing"]["si_sdr_db"]
    quartiles = summarize([row, row])
    assert quartiles["nothing"]["si_sdr_db"] == pytest.approx([row["nothing"]["si_sdr_db"]] * 3, rel=1e-3)


@pytest.mark.parametrize("command", [restoring, refining], ids=["restoring", "refining"])
def test_a_set_that_is_none_is_refused_before_any_work(command: ModuleType, tmp_path: Path) -> None:
    places = ["--audio", str(tmp_path), "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "o.json")]
    with pytest.raises(OptionError, match="fife"):
        command.main([str(tmp_path / "recipe.toml"), *places, "--sets", "five,fife"])
