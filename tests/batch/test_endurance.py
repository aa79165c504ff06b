"""Many small files: neither memory nor handles grow."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from conftest import write_noise

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc")
FILES = int(os.environ.get("UNSQUASH_TEST_FILES", "300"))
PROBE = """
import json, os, sys
from pathlib import Path
from unsquash.batch.events import Finished
from unsquash.batch.expand import expand
from unsquash.batch.jobs import plan_jobs
from unsquash.batch.ledger import Ledger
from unsquash.batch.names import Naming
from unsquash.batch.run import run_batch
from unsquash.batch.settings import BatchOptions
from unsquash.options import RestoreOptions

seen = []

def listen(event):
    if isinstance(event, Finished):
        assert event.outcome.failure is None, event.outcome.failure
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        seen.append((pages * os.sysconf("SC_PAGE_SIZE") / 2**20, len(os.listdir("/proc/self/fd"))))

folder, out = map(Path, sys.argv[1:])
jobs = plan_jobs(expand([str(folder)]).found, out, Naming())
options = RestoreOptions(settings={"threshold": "-3", "ratio": "1.2"})
run_batch(jobs, Ledger(out), options, BatchOptions(jobs=1), listen)
print(json.dumps(seen))
"""


@pytest.mark.slow
def test_neither_memory_nor_handles_grow_with_the_number_of_files(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    for number in range(FILES):
        write_noise(folder / f"{number % 7}" / f"{number}.wav", number % 20, seconds=0.05)
    command = [sys.executable, "-c", PROBE, str(folder), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert len(seen) == FILES
    memory_mb, handles = zip(*seen, strict=True)
    settled = FILES // 3
    sys.stdout.write(
        f"{FILES} files: {memory_mb[0]:.1f} MB after the first, {memory_mb[settled]:.1f} MB after"
    )
    sys.stdout.write(f" a third, {memory_mb[-1]:.1f} MB in the end; {handles[0]} and {handles[-1]} handles\n")
    assert memory_mb[-1] - memory_mb[settled] < 4.0
    assert set(handles[1:]) == {handles[1]}
