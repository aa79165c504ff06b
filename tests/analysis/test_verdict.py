"""What was found, in words."""

from __future__ import annotations

import pytest

from unsquash.analysis.clipping import Clipping
from unsquash.analysis.diagnosis import Diagnosis
from unsquash.analysis.dynamics import Dynamics
from unsquash.analysis.identification import Identification
from unsquash.analysis.levels import LevelsMeter
from unsquash.analysis.verdict import is_squashed, verdict_of
from unsquash.dsp.compressor import CompressorParams


@pytest.mark.parametrize(
    ("dynamics", "ceiling_dbfs", "expected", "squashed"),
    [
        ("none", None, ("untouched",), False),
        ("none", -1.0, ("clipped",), True),
        ("limited", None, ("limited",), True),
        ("limited", -1.0, ("limited", "clipped"), True),
        ("compressed", -1.0, ("compressed", "clipped"), True),
        (None, None, ("unknown",), False),
        (None, 0.0, ("clipped",), True),
    ],
)
def test_words(dynamics, ceiling_dbfs, expected, squashed):
    judged = dynamics and Dynamics(
        verdict=dynamics, confidence=0.9, mean_gain_reduction_db=1.0, max_gain_reduction_db=2.0
    )
    clipping = Clipping(ceiling_dbfs=ceiling_dbfs, fraction=0.0, longest_run_samples=0, events=0)
    levels = LevelsMeter(44100, 1).result()
    diagnosis = Diagnosis(levels=levels, clipping=clipping, bandwidth_hz=None, dynamics=judged)
    assert verdict_of(diagnosis) == expected
    assert is_squashed(expected) is squashed


@pytest.mark.parametrize("verdict", ["none", "limited"])
@pytest.mark.parametrize(("probability", "words"), [(0.9, ("compressed",)), (0.79, None)])
def test_a_compressor_known_by_name_is_the_verdict(verdict, probability, words):
    judged = Dynamics(verdict=verdict, confidence=0.9, mean_gain_reduction_db=1.0, max_gain_reduction_db=2.0)
    found = Identification(
        profile="five/A",
        probability=0.6,
        squashed=0.99,
        known=probability,
        params=CompressorParams(threshold_db=-20.0, ratio=4.0),
    )
    diagnosis = Diagnosis(
        levels=LevelsMeter(44100, 1).result(),
        clipping=Clipping(ceiling_dbfs=None, fraction=0.0, longest_run_samples=0, events=0),
        bandwidth_hz=None,
        dynamics=judged,
        identification=found,
    )
    expected = words or (("untouched",) if verdict == "none" else (verdict,))
    assert verdict_of(diagnosis) == expected
