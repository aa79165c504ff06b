"""Memory does not depend on length."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from unsquash.audio import OutputFormat
from unsquash.audio.pcm import pcm_header

COPY = """
import resource, sys
from pathlib import Path
from unsquash.audio import choose_format, open_audio, open_writer
for source, target in ((sys.argv[1], "a.flac"), ("a.flac", "a.ogg"), ("a.ogg", "a.mp3"), ("a.mp3", "b.flac")):
    with open_audio(Path(source)) as audio:
        output = choose_format(audio.info, Path(target))
        with open_writer(Path(target), output, dither=True) as writer:
            for block in audio.blocks():
                writer.write(block)
        assert writer.frames == audio.info.frames
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_peak_memory_of_a_chain_of_copies(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    output = OutputFormat(container="WAV", subtype="PCM_16", sample_rate=8000, channels=2)
    peaks_kib = []
    for minutes in (2, 20):
        folder = tmp_path / str(minutes)
        folder.mkdir()
        data_bytes = minutes * 60 * 8000 * 4
        with (folder / "a.wav").open("wb") as file:  # a file of holes
            file.write(pcm_header(output, data_bytes))
            file.truncate(file.tell() + data_bytes)
        command = [sys.executable, "-c", COPY, "a.wav"]
        result = subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=300)
        peaks_kib.append(int(result.stdout) // (1024 if sys.platform == "darwin" else 1))
    assert peaks_kib[1] - peaks_kib[0] < 8 * 1024
