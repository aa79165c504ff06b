"""What a search adds to a regression: the settings a regressor finds, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from unsquash.analysis.listening import Listener, listen
from unsquash.analysis.space import LOWEST
from unsquash.audio import ArraySource
from unsquash.nets.profile import EXCERPT_SAMPLES
from unsquash.training.corpus import SAMPLE_RATE, load_corpus
from unsquash.training.profiles import refining
from unsquash.training.profiles.encoders import Posterior, Regressor, Views
from unsquash.training.profiles.refining import regressed
from unsquash.training.profiles.regression import DB_PER_UNIT, Maker
from unsquash.units import Float64Array
from unsquash.weights import load_gain_net, load_profile_net

HEADER = "file,kind,split,artist_or_repo,title,licence,genre,start_s,duration_s,plr_db,source"


def bursts(count: int, seed: int) -> Float64Array:
    """Make noise that fades twice a second; shape `(2, count)`."""
    fading = np.exp(-12.0 * (np.arange(count) / SAMPLE_RATE % 0.5))
    return 0.3 * np.random.default_rng(seed).uniform(-1.0, 1.0, (2, count)) * (0.05 + fading)


class Convinced(Regressor):
    """Believes the same of every excerpt; remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__("gain", 40, 28)
        self.rest: list[float] = []

    def forward(self, views: Views) -> Posterior:
        self.rest += views.from_rest.tolist()
        means = torch.full((len(views.from_rest), 2, LOWEST.size), 0.5)
        return Posterior(
            means=means,
            log_deviations=torch.full_like(means, -2.0),
            smoothed=torch.ones(len(views.from_rest)),
        )


@pytest.fixture(scope="module")
def maker(corpus_folder: Path, cache_folder: Path) -> Maker:
    tracks = load_corpus([corpus_folder], cache_folder, validation_artists=())
    return Maker(tracks, load_gain_net("gain-small"))


def heard(scale: float) -> list[Listener]:
    samples = bursts(EXCERPT_SAMPLES, 1)
    scaled = scale * samples / np.abs(samples).max()
    return listen(ArraySource(scaled, SAMPLE_RATE), load_profile_net("profile-small"))


def test_a_regressed_threshold_moves_with_the_level(maker: Maker) -> None:
    torch.set_num_threads(1)
    found = [regressed(Convinced(), maker, heard(scale), from_rest=True) for scale in (1.0, 0.25)]
    assert found[0].threshold_db == pytest.approx(LOWEST[0] + 0.5 * DB_PER_UNIT, abs=1e-3)
    assert found[0].threshold_db - found[1].threshold_db == pytest.approx(20 * np.log10(4.0), abs=1e-3)
    assert found[0].ratio == found[1].ratio
    assert found[0].smoothing != "none"


@pytest.mark.parametrize("from_rest", [True, False])
def test_a_regressor_is_told_whether_the_compressor_was_at_rest(maker: Maker, from_rest: bool) -> None:
    torch.set_num_threads(1)
    net = Convinced()
    regressed(net, maker, heard(1.0), from_rest=from_rest)
    assert net.rest == [float(from_rest)]


def test_the_command_compares_regression_search_and_network(cache_folder: Path, tmp_path: Path) -> None:
    audio, recipe = tmp_path / "audio", tmp_path / "recipe.toml"
    audio.mkdir()
    rows = []
    for index, (kind, artist) in enumerate([("mix", "b"), ("mix", "a"), ("speech", "a")]):
        soundfile.write(audio / f"{index}.flac", bursts(8 * SAMPLE_RATE, index).T, SAMPLE_RATE)
        rows.append(f"{index}.flac,{kind},train,{artist},,CC0,,0,8,15,")
    (audio / "catalog.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    recipe.write_text('name = "tiny"\nvalidation_artists = ["a"]\n')
    arguments = [str(recipe), "--audio", str(audio), "--cache", str(cache_folder), "--sets", "five"]
    small = ["--examples", "4", "--steps", "2", "--count", "1"]
    refining.main([*arguments, *small, "--out", str(tmp_path / "out.json")])
    results = json.loads((tmp_path / "out.json").read_text())
    assert set(results) == {f"five, {kind}, {way}" for kind in ("mix", "speech") for way in ("paper", "file")}
    for row in results.values():
        assert set(row) == {"nothing", "regressed", "searched", "neural"}
        assert np.isfinite(list(row.values())).all()
