"""Score a gain network on a benchmark of squashed files with known originals.

`python -m unsquash.training.evaluate MODEL --bench DIR --work DIR --out FILE`, where `--bench` holds
`build.py` (called as `build.py OUT`, makes `index.json` and `<case>/{original,squashed}.wav`) and
`delimiter.csv` (the published De-limiter's figures). Each case is restored twice: `neural` always applies
the network, `auto` obeys the plan.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch

from unsquash.analysis.diagnosis import Diagnosis, analyze
from unsquash.audio import ArraySource, check_target
from unsquash.errors import InputError
from unsquash.metrics import si_sdr_db
from unsquash.nets.gain import GainNet
from unsquash.options import PUBLISHED, RestoreOptions
from unsquash.plan import Plan, make_plan
from unsquash.stages import restored_blocks, suspects_of
from unsquash.training.commands import positive_int, run, write_json
from unsquash.units import Float64Array, FloatArray
from unsquash.weights import load_gain_net

CAP_DB = 40.0
"""SI-SDR beyond which nothing is heard: neither credit nor blame."""

HARM_DB = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One case: SI-SDR of the input, both restorations and De-limiter's; errors of the crest factor."""

    case: str
    processor: str
    verdict: str
    method: str
    agreement: float
    squashed_probability: float
    before_db: float
    neural_db: float
    auto_db: float
    delimiter_db: float
    crest_error_before_db: float
    crest_error_auto_db: float


def restore_both(
    squashed: Float64Array, sample_rate: int, net: GainNet
) -> tuple[Float64Array, Float64Array, Diagnosis, Plan]:
    """Restore with the network whatever the plan, and as the plan has it; as the pipeline does.

    Shape:
        squashed, both results: `(C, T)`.
    """
    source = ArraySource(squashed, sample_rate)
    diagnosis = analyze(source, net=net, suspects=suspects_of("cpu", PUBLISHED))
    plans = [make_plan(diagnosis, options) for options in (RestoreOptions(method="neural"), RestoreOptions())]
    neural, auto = (
        np.concatenate(list(_restored(source, plan, diagnosis, net)), axis=1).astype(np.float64)
        for plan in plans
    )
    return neural, auto, diagnosis, plans[1]


def _restored(source: ArraySource, plan: Plan, diagnosis: Diagnosis, net: GainNet) -> Iterator[FloatArray]:
    frames = source.info.frames
    return restored_blocks(source, plan, diagnosis, RestoreOptions(), net, 0, frames, lambda _x, _gain: None)


def score_cases(work: Path, delimiter_db: dict[str, float], net: GainNet) -> Iterator[Score]:
    """Restore and score every case of a built benchmark.

    Raises:
        InputError: De-limiter's figure for a case is missing, or the case is silent.
    """
    cases = json.loads((work / "index.json").read_text(encoding="utf-8"))
    if strange := [case["case"] for case in cases if case["case"] not in delimiter_db]:
        raise InputError(
            f"no figure of De-limiter for {strange[0]}", hint="Are --bench and --work of the same benchmark?"
        )
    for case in cases:
        name = case["case"]
        original, _ = soundfile.read(work / name / "original.wav")
        squashed, sample_rate = soundfile.read(work / name / "squashed.wav")
        neural, auto, diagnosis, plan = restore_both(np.ascontiguousarray(squashed.T), sample_rate, net)
        dynamics, fit = diagnosis.dynamics, diagnosis.compressor
        if dynamics is None:
            raise InputError(f"the benchmark's case {name} is silent", hint="Build it again.")
        sure = dynamics.confidence
        yield Score(
            case=name,
            processor=case["processor"],
            verdict=dynamics.verdict,
            method=plan.method,
            agreement=0.0 if fit is None else fit.agreement,
            squashed_probability=1.0 - sure if dynamics.verdict == "none" else sure,
            before_db=capped_si_sdr_db(original, squashed),
            neural_db=capped_si_sdr_db(original, neural.T),
            auto_db=capped_si_sdr_db(original, auto.T),
            delimiter_db=delimiter_db[name],
            crest_error_before_db=_crest_db(squashed) - _crest_db(original),
            crest_error_auto_db=_crest_db(auto) - _crest_db(original),
        )


def capped_si_sdr_db(original: Float64Array, estimate: Float64Array) -> float:
    """Return the SI-SDR in dB, up to `CAP_DB`; any shape, the same for both."""
    value = si_sdr_db(original, estimate)
    return CAP_DB if value is None else min(CAP_DB, value)


def table(scores: Sequence[Score]) -> str:
    """Write a Markdown table: one row per processor, SI-SDR gains over the input in dB."""
    lines = [
        "| processor | before | De-limiter | neural | worst | auto | worst | crest error before → auto |",
        "|---|---|---|---|---|---|---|---|",
    ]
    groups = defaultdict(list)
    for score in scores:
        groups[score.processor].append(score)
    for processor, members in groups.items():
        lines.append(_row("untouched" if processor == "none" else processor, members))
    if squashed := [s for s in scores if s.processor != "none"]:
        lines.append(_row("mean of all squashed", squashed))
    return "\n".join(lines)


def summary(scores: Sequence[Score]) -> dict[str, float]:
    """Compute the figures a release is judged by."""
    squashed = [s for s in scores if s.processor != "none"]
    untouched = [s for s in scores if s.processor == "none"]
    return {
        "neural_gain_db": _mean(s.neural_db - s.before_db for s in squashed),
        "auto_gain_db": _mean(s.auto_db - s.before_db for s in squashed),
        "delimiter_gain_db": _mean(s.delimiter_db - s.before_db for s in squashed),
        "neural_harmed": sum(s.neural_db - s.before_db < -HARM_DB for s in squashed),
        "auto_harmed": sum(s.auto_db - s.before_db < -HARM_DB for s in scores),
        "untouched_left_alone": _mean(s.method == "none" for s in untouched),
        "squashed_left_alone": _mean(s.method == "none" for s in squashed),
    }


def _row(title: str, scores: Sequence[Score]) -> str:
    neural = [s.neural_db - s.before_db for s in scores]
    auto = [s.auto_db - s.before_db for s in scores]
    crest = (_mean(s.crest_error_before_db for s in scores), _mean(s.crest_error_auto_db for s in scores))
    delimiter = _mean(s.delimiter_db - s.before_db for s in scores)
    return (
        f"| {title} | {_mean(s.before_db for s in scores):.2f} | {delimiter:+.2f} | {_mean(neural):+.2f} | "
        f"{min(neural):+.2f} | {_mean(auto):+.2f} | {min(auto):+.2f} | {crest[0]:+.2f} → {crest[1]:+.2f} |"
    )


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return round(float(np.mean(known)), 3) if known else math.nan


def _crest_db(samples: Float64Array) -> float:
    return float(20.0 * np.log10(np.abs(samples).max() / np.sqrt(np.square(samples).mean())))


def _delimiter_figures(path: Path) -> dict[str, float]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return {row["case"]: float(row["after_db"]) for row in csv.DictReader(stream)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"cannot read {path}: {error}", hint="It has the columns case and after_db."
        ) from error


def _built(bench: Path, work: Path) -> Path:
    """Return the folder of the cases, built where they are missing."""
    if not (work / "index.json").exists():
        command = [sys.executable, str(bench.resolve() / "build.py"), str(work.resolve())]
        try:
            subprocess.run(command, check=True, cwd=bench)  # noqa: S603
        except (OSError, subprocess.CalledProcessError) as error:
            raise InputError(
                f"the benchmark in {bench} could not be built", hint="What it needs is in its README."
            ) from error
    return work


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m unsquash.training.evaluate", description=__doc__)
    parser.add_argument("model", help="name in the manifest, or a .safetensors file")
    parser.add_argument("--bench", type=Path, required=True, help="folder with build.py and delimiter.csv")
    parser.add_argument("--work", type=Path, required=True, help="where the cases are, or will be, built")
    parser.add_argument("--out", type=Path, required=True, help="results as JSON")
    parser.add_argument("--threads", type=positive_int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    check_target(options.out, overwrite=True)
    net, delimiter_db = load_gain_net(options.model), _delimiter_figures(options.bench / "delimiter.csv")
    work = _built(options.bench, options.work)
    begun, scores = time.monotonic(), list[Score]()
    for score in score_cases(work, delimiter_db, net):
        scores.append(score)
        results = {
            "model": options.model,
            "seconds": round(time.monotonic() - begun, 1),
            "summary": summary(scores),
            "cases": [asdict(score) for score in scores],
        }
        write_json(options.out, results, indent=1)
    print(table(scores))
    print(json.dumps(summary(scores)))


if __name__ == "__main__":
    run(main)
