from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unsquash.errors import InputError, OutputError
from unsquash.training import evaluate
from unsquash.training.corpus import SAMPLE_RATE
from unsquash.training.evaluate import Score, main, summary, table
from unsquash.units import Float64Array
from unsquash.weights import list_entries, verified_path


def score(processor: str, before_db: float, neural_db: float, verdict: str = "limited") -> Score:
    return Score(
        case=f"song__{processor}",
        processor=processor,
        verdict=verdict,
        method="none" if verdict == "none" else "neural",
        agreement=0.0,
        squashed_probability=0.9,
        before_db=before_db,
        neural_db=neural_db,
        auto_db=before_db if verdict == "none" else neural_db,
        delimiter_db=before_db + 0.5,
        crest_error_before_db=-3.0,
        crest_error_auto_db=-1.0,
    )


def test_the_summary_counts_gains_and_harm() -> None:
    figures = summary([score("a", 10, 13), score("a", 20, 19), score("none", 40, 35, "none")])
    assert figures["neural_gain_db"] == pytest.approx(1.0)
    assert figures["delimiter_gain_db"] == pytest.approx(0.5)
    assert figures["neural_harmed"] == figures["auto_harmed"] == 1
    assert figures["untouched_left_alone"] == 1.0
    assert figures["squashed_left_alone"] == 0.0


def test_the_table_has_a_row_per_processor() -> None:
    rows = table([score("a", 10, 13), score("a", 20, 19), score("none", 40, 35, "none")]).splitlines()
    assert rows[2] == "| a | 15.00 | +0.50 | +1.00 | -1.00 | +1.00 | -1.00 | -3.00 → -1.00 |"
    assert rows[3].startswith("| untouched | 40.00 | +0.50 | -5.00 | -5.00 | +0.00 |")
    assert len(rows) == 5


@pytest.mark.slow
def test_a_built_benchmark_is_scored(music: Float64Array, tmp_path: Path) -> None:
    original = 0.9 * music
    cases = {"song__none": original, "song__clip": np.clip(original, -0.3, 0.3)}
    for name, squashed in cases.items():
        (tmp_path / "work" / name).mkdir(parents=True)
        soundfile.write(tmp_path / "work" / name / "original.wav", original.T, SAMPLE_RATE, "FLOAT")
        soundfile.write(tmp_path / "work" / name / "squashed.wav", squashed.T, SAMPLE_RATE, "FLOAT")
    index = [{"case": name, "processor": name.removeprefix("song__")} for name in cases]
    (tmp_path / "work" / "index.json").write_text(json.dumps(index))
    (tmp_path / "delimiter.csv").write_text("case,after_db\nsong__none,40\nsong__clip,12.5\n")
    out = tmp_path / "results.json"
    model = str(verified_path(list_entries()[0]))
    main(
        [
            model,
            "--bench",
            str(tmp_path),
            "--work",
            str(tmp_path / "work"),
            "--out",
            str(out),
            "--threads",
            "1",
        ]
    )
    results = json.loads(out.read_text())
    untouched, clipped = results["cases"]
    assert untouched["before_db"] == 40.0
    assert clipped["delimiter_db"] == 12.5
    assert 3.0 < clipped["before_db"] < 25.0
    assert clipped["crest_error_before_db"] < -1.0


BUILD = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
folder.mkdir()
(folder / "index.json").write_text(json.dumps([{"case": "song__a", "processor": "a"}]))
"""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments that name a benchmark relative to the working directory."""
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "build.py").write_text(BUILD)
    (tmp_path / "bench" / "delimiter.csv").write_text("case,after_db\nsong__a,40\n")
    monkeypatch.chdir(tmp_path)
    return ["gain-small", "--bench", "bench", "--work", "work", "--out", "results.json", "--threads", "1"]


def test_scores_are_kept_as_they_come(bench: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def some(*_arguments: object) -> Iterator[Score]:
        yield score("a", 10, 13)
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "score_cases", some)
    with pytest.raises(KeyboardInterrupt):
        main(bench)
    assert Path("work/index.json").exists()  # built where it was asked for
    results = json.loads(Path("results.json").read_text())
    assert [case["case"] for case in results["cases"]] == ["song__a"]
    assert results["summary"]["auto_gain_db"] == 3.0
    assert results["summary"]["untouched_left_alone"] is None


def test_a_benchmark_that_cannot_be_scored_is_refused_before_it_is(bench: list[str]) -> None:
    Path("bench/build.py").write_text("raise SystemExit(1)")
    with pytest.raises(InputError, match="could not be built"):
        main(bench)
    Path("bench/build.py").write_text(BUILD.replace("song__a", "song__b"))
    with pytest.raises(InputError, match="no figure of De-limiter for song__b"):
        main(bench)
    Path("bench/delimiter.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"delimiter\.csv"):
        main(bench)
    with pytest.raises(OutputError, match="nowhere"):
        main([*bench, "--out", "nowhere/results.json"])
