"""Small recordings, and a listener that remembers."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unsquash.batch.events import Finished
from unsquash.batch.expand import expand
from unsquash.batch.jobs import plan_jobs
from unsquash.batch.ledger import Ledger
from unsquash.batch.names import Naming
from unsquash.batch.run import run_batch
from unsquash.batch.settings import BatchOptions
from unsquash.options import RestoreOptions

NONE = RestoreOptions(method="none")


def write_noise(path: Path, seed: int = 0, seconds: float = 0.1, rate: int = 44100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, (int(rate * seconds), 2))
    soundfile.write(os.fsencode(path), samples, rate, "PCM_16", format="WAV")
    return path


class Recorder:
    """Remembers every event."""

    def __init__(self):
        self.events = []

    def __call__(self, event):
        self.events.append(event)

    @property
    def outcomes(self):
        return {e.outcome.job.name: e.outcome for e in self.events if isinstance(e, Finished)}

    @property
    def statuses(self):
        return {name: outcome.status for name, outcome in self.outcomes.items()}

    @property
    def counts(self):
        return Counter(self.statuses.values())


@pytest.fixture
def music(tmp_path):
    """A folder of six recordings, in two levels."""
    folder = tmp_path / "music"
    for number in range(6):
        write_noise(folder / ("b" if number % 2 else "") / f"{number}.wav", number)
    return folder


@pytest.fixture
def batch():
    """Run a batch in this process: `batch(folder, out, resume=True)` gives a `Recorder`."""

    def call(folder, out, options=NONE, naming=None, listener=None, **flags):
        recorder = listener or Recorder()
        flags.setdefault("jobs", 1)
        ledger = Ledger(out)
        found = expand([str(folder)], output_folder=out, is_output=ledger.wrote_file).found
        jobs = plan_jobs(found, out, naming or Naming())
        run_batch(jobs, ledger, options, BatchOptions(**flags), recorder)
        return recorder

    return call
