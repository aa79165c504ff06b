"""Memory must not depend on the length of a recording."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import soundfile

PROBE = """
import resource, sys
from pathlib import Path
import numpy, scipy.signal, numba, soundfile, soxr
import unsquash, unsquash.pipeline, unsquash.engines.model_based
from unsquash.options import RestoreOptions
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
unsquash.restore(numpy.ones((2, 4410)) * 0.1, 44100, RestoreOptions(profile="five/C"))
before = peak()
unsquash.restore_file(Path(sys.argv[1]), Path(sys.argv[2]), RestoreOptions(profile="five/C"), overwrite=True)
print(before, peak() - before)
"""


def write_noise(path, minutes):
    """Write stereo noise bursts of a given length, minute by minute."""
    rng = np.random.default_rng(0)
    minute = (rng.standard_normal((60 * 44100, 2)) * 0.05).clip(-1, 1)
    minute *= (1 + 4 * (np.arange(len(minute)) // 11025 % 3 == 0))[:, np.newaxis] * 0.5
    with soundfile.SoundFile(path, "w", 44100, 2, "PCM_16") as file:
        for _ in range(minutes):
            file.write(minute)


@pytest.mark.slow
def test_the_peak_does_not_grow_with_length(tmp_path):
    growth_mb = {}
    for minutes in (1, 4, 16):
        source = tmp_path / f"{minutes}.wav"
        write_noise(source, minutes)
        command = [sys.executable, "-c", PROBE, str(source), str(tmp_path / "out.wav")]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        growth_mb[minutes] = float(out.split()[1])
        source.unlink()
    assert max(growth_mb.values()) < 250, growth_mb
    assert growth_mb[16] - growth_mb[4] < 12, growth_mb
