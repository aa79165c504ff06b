"""Fixtures that every test may use."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import soundfile

hypothesis.settings.register_profile("unhurried", deadline=None)  # kernels compile when first called
hypothesis.settings.load_profile("unhurried")

REPOSITORY = Path(__file__).parent.parent
Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="session")
def shared_audio() -> Path:
    """The folder of real recordings; the test is skipped where it is absent."""
    folder = Path(os.environ.get("UNSQUASH_SHARED", REPOSITORY.parent / "shared")) / "audio"
    if not folder.is_dir():
        pytest.skip("no real recordings here; set UNSQUASH_SHARED to their folder")
    return folder


def _synthesized(bars: int) -> np.ndarray:
    spec = importlib.util.spec_from_file_location("song", REPOSITORY / "examples" / "song.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    samples: np.ndarray = module.song(bars=bars)
    return samples


@pytest.fixture(scope="session")
def song() -> np.ndarray:
    """Six seconds of the demo song, `(2, T)` float64 at 44.1 kHz."""
    return _synthesized(bars=3)[:, : 6 * 44100]


@pytest.fixture(scope="session")
def song_18_s() -> np.ndarray:
    """Eighteen seconds of it, at full scale."""
    samples = _synthesized(bars=8)
    return samples / np.abs(samples).max()


@pytest.fixture
def song_wav(song: np.ndarray, tmp_path: Path) -> Path:
    """The song as a 24-bit WAV file."""
    path = tmp_path / "song.wav"
    soundfile.write(path, song.T, 44100, "PCM_24")
    return path


@pytest.fixture(scope="session")
def run() -> Run:
    """Run the command line in a process of its own: `run("restore", a, b)`."""

    def call(*arguments: object, **keywords: object) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "unsquash", *map(str, arguments)]
        keywords.setdefault("stdin", None if "input" in keywords else subprocess.DEVNULL)
        if "input" in keywords:
            keywords.pop("stdin")
        return subprocess.run(command, capture_output=True, timeout=300, check=False, **keywords)  # type: ignore[call-overload]

    return call
