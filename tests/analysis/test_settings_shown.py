"""A compressor that was searched for: its settings and their ranges, as people and programs see them."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unsquash.analysis.fitting import CompressorFit
from unsquash.analysis.ranges import likely_ranges
from unsquash.console import print_analysis
from unsquash.dsp.compressor import CompressorParams
from unsquash.options import RestoreOptions
from unsquash.pipeline import FileAnalysis, analyze_file
from unsquash.spreadsheet import Sheet

PARAMS = CompressorParams(
    threshold_db=-20.5,
    ratio=2.5,
    detector_attack_ms=4.0,
    detector_release_ms=120.0,
    smoothing="none",
    detector="peak",
    link="mean",
)


@pytest.fixture
def report(tmp_path: Path) -> FileAnalysis:
    path = tmp_path / "noise.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.3, 0.3, (4410, 2)), 44_100)
    found = analyze_file(path, RestoreOptions(profile="five/C"))
    fit = CompressorFit(
        params=PARAMS,
        agreement=0.9,
        amount=1.0,
        deviation_db=2.0,
        least_db=0.5,
        proofs=(0.0, 3.0, 3.0, 3.0, 3.0, 3.0),
        music=0.0,
        ranges=likely_ranges(PARAMS),
    )
    return dataclasses.replace(found, diagnosis=dataclasses.replace(found.diagnosis, compressor=fit))


def test_the_table_has_settings_and_ranges(report: FileAnalysis, capsys: pytest.CaptureFixture[str]) -> None:
    print_analysis(report)
    lines = {" ".join(line.split()) for line in capsys.readouterr().out.splitlines()}
    assert "compressor threshold -20.50 dB (-21.5 to -18.4)" in lines
    assert "compressor ratio 2.5 (2 to 4.5)" in lines
    assert "compressor attack 4.00 ms (3.2 to 13.6)" in lines
    assert "compressor release 120.00 ms (54 to 144)" in lines
    assert "compressor detector peak" in lines
    assert "compressor link mean" in lines


def test_the_spreadsheet_has_the_same_settings(report: FileAnalysis) -> None:
    stream = io.BytesIO()
    Sheet(stream).add("noise.wav", report)
    (row,) = csv.DictReader(io.StringIO(stream.getvalue().decode(), newline=""))
    assert float(row["compressor_threshold_db"]) == PARAMS.threshold_db
    assert float(row["compressor_ratio"]) == PARAMS.ratio
    assert float(row["compressor_attack_ms"]) == PARAMS.detector_attack_ms
    assert float(row["compressor_release_ms"]) == PARAMS.detector_release_ms
    assert (row["compressor_detector"], row["compressor_link"]) == ("peak", "mean")
