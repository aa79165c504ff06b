"""CSV of many files: in the order of the list, whatever finishes first."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from unsquash.batch.events import Checked, Closed, Finished, Planned
from unsquash.batch.jobs import Job
from unsquash.batch.settings import Summary
from unsquash.batch.tasks import Outcome, failed
from unsquash.errors import AudioReadError
from unsquash.live.results import CsvRows


def finished(name):
    job = Job(name=name, source=Path(name), target=Path(name))
    return Finished(outcome=Outcome(job=job, status="analyzed"))


def names(stream):
    return [row["file"] for row in csv.DictReader(io.StringIO(stream.getvalue().decode(), newline=""))]


@pytest.mark.parametrize("order", ["abcd", "dcba", "cadb"])
def test_order(order):
    stream = io.BytesIO()
    rows = CsvRows(stream)
    bad = Job(name="bad", source=Path("bad"), target=Path("bad"))
    rows(Checked(done=1, total=5))
    rows(Finished(outcome=failed(bad, AudioReadError("no audio, at all", hint=""))))
    assert names(stream) == ["bad"]
    rows(Planned(lengths_s=dict.fromkeys("abcd", 1.0), jobs=2))
    for count, name in enumerate(order, start=1):
        rows(finished(name))
        if name == "a":
            assert names(stream)[1] == "a"
        assert len(names(stream)) <= 1 + count
    rows(Closed(summary=Summary(), files=5))
    assert names(stream) == ["bad", *"abcd"]
    assert "no audio, at all" in stream.getvalue().decode()


def test_names_that_are_no_unicode_are_escaped():
    stream = io.BytesIO()
    CsvRows(stream)(finished("caf\udce9.wav"))
    assert names(stream) == ["caf\\udce9.wav"]
