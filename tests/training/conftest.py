from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from unsquash.nets.gain import GainNetConfig
from unsquash.training.corpus import SAMPLE_RATE
from unsquash.training.recipe import Recipe
from unsquash.units import Float64Array

HEADER = "file,kind,split,artist_or_repo,title,licence,genre,start_s,duration_s,plr_db,source\n"


def drums(seconds: float, seed: int) -> Float64Array:
    """Noise bursts over a tone: `(2, T)`, with a crest factor worth squashing."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(int(SAMPLE_RATE * seconds)) / SAMPLE_RATE
    beat = np.exp(-12.0 * (time_s % (0.3 + 0.05 * seed)))
    tone = 0.2 * np.sin(2 * np.pi * (110 + 30 * seed) * time_s)
    samples = np.stack([beat * rng.standard_normal(len(time_s)) + tone, beat * tone * 3 + tone])
    return samples / np.abs(samples).max()


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Let interrupts through, also where the tests themselves run where they are ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def music() -> Float64Array:
    return drums(3.0, 0)


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of a few synthetic files, one of them a benchmark's that is not even there."""
    folder = tmp_path_factory.mktemp("audio")
    rows = ["bench/secret.flac,mix,bench,nobody,,CC0,,0,20,15,", "mix/empty.flac,mix,train,d,,CC0,,0,2,15,"]
    (folder / "mix").mkdir()
    soundfile.write(folder / "mix/empty.flac", np.zeros((2 * SAMPLE_RATE, 2)), SAMPLE_RATE)
    for index, (kind, artist) in enumerate(
        [("mix", "a"), ("mix", "b"), ("stem", "a"), ("stem", "a"), ("loop", "c")]
    ):
        file = f"{kind}/song-w0-{index}.flac"
        (folder / kind).mkdir(exist_ok=True)
        soundfile.write(folder / file, 0.5 * drums(4.0, index).T, SAMPLE_RATE)
        rows.append(f"{file},{kind},train,{artist},,CC0,,0,4,15,")
    (folder / "catalog.csv").write_text(HEADER + "\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def tiny_recipe() -> Recipe:
    torch.set_num_threads(1)
    net = GainNetConfig(
        mel_bands=8,
        fine_channels=8,  # not 16, which oneDNN 3.12 gets wrong in bfloat16 with AMX
        coarse_channels=16,
        embedding_channels=8,
        fine_dilations_before=(1, 2),
        coarse_dilations=(1, 2, 4),
        fine_dilations_after=(1,),
        embedding_dilations=(1,),
    )
    return Recipe(
        name="tiny", batch=2, crop_frames=256, pool_examples=2, warmup_steps=5, learning_rate=1e-2, net=net
    )
