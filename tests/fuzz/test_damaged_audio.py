"""A seeded part of `benchmarks/fuzz.py`: damaged files are processed or refused in words, nothing else."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path

import pytest

import unsquash

REPOSITORY = Path(__file__).parent.parent.parent
CASES = 600


@pytest.fixture(scope="module")
def fuzz():
    spec = importlib.util.spec_from_file_location("fuzz", REPOSITORY / "benchmarks" / "fuzz.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_damaged_files_are_processed_or_refused(fuzz):
    results = fuzz.run_cases(0, CASES, seed=0)
    assert [number for number, _, _ in results] == list(range(CASES))
    assert [result for result in results if result[2].startswith("FAULT")] == []
    words = Counter(word for _, _, word in results)
    assert words["restored"] > CASES / 10
    assert words["refused AudioReadError"] > CASES / 10


def test_undamaged_files_are_restored(fuzz, tmp_path):
    for kind, data in fuzz.make_bases().items():
        (tmp_path / kind).write_bytes(data)
        assert fuzz.outcome(tmp_path / kind, tmp_path / f"{kind}.wav") == "restored", kind


@pytest.mark.parametrize(
    "data", [b".snd\0\0\0\x18", b".snd", b"RIFF", b"FORM\0\0", b"caff", b"OggS", b"fLaC"]
)
def test_what_fuzzing_found_stays_found(fuzz, tmp_path, data):
    (tmp_path / "in").write_bytes(data)
    assert fuzz.outcome(tmp_path / "in", tmp_path / "out.wav") == "refused AudioReadError"


def test_checksums_of_ogg_are_made_true(fuzz):
    bases = fuzz.make_bases()
    assert fuzz.with_true_checksums(bases["ogg"]) == bases["ogg"]
    assert fuzz.with_true_checksums(bases["opus"]) == bases["opus"]


def raising(error):
    def call(*_arguments, **_keywords):
        raise error

    return call


@pytest.mark.parametrize("error", [KeyError("a fault"), MemoryError(), RecursionError(), SystemExit(1)])
def test_a_fault_would_be_seen(fuzz, tmp_path, monkeypatch, error):
    monkeypatch.setattr(unsquash, "analyze_file", raising(error), raising=False)
    assert fuzz.outcome(tmp_path / "in.wav", tmp_path / "out.wav").startswith("FAULT")


def test_a_hang_and_a_death_would_be_seen(fuzz, tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz, "SECONDS_PER_CASE", 1)
    monkeypatch.setattr(unsquash, "analyze_file", lambda *_: [None for _ in iter(int, 1)], raising=False)
    assert fuzz.outcome(tmp_path / "in.wav", tmp_path / "out.wav") == "FAULT hang"
    dying = tmp_path / "dying.py"
    dying.write_text("import os\nprint('begin 0 wav', flush=True)\nos.abort()\n")
    monkeypatch.setattr(fuzz, "__file__", str(dying))
    ((number, kind, word),) = fuzz.run_cases(0, 1, seed=0)
    assert (number, kind) == (0, "wav")
    assert word.startswith("FAULT died with -6")
