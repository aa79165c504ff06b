"""The only place that chooses: what is found and asked decides what is done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from unsquash.analysis.clipping import Clipping
from unsquash.analysis.diagnosis import Diagnosis
from unsquash.analysis.fitting import MOST_DOUBT, SHARES, CompressorFit
from unsquash.analysis.identification import Identification
from unsquash.analysis.levels import Levels
from unsquash.analysis.noise import PROOF
from unsquash.analysis.ranges import likely_ranges
from unsquash.dsp.ceilings import Ceiling
from unsquash.dsp.compressor import CompressorParams
from unsquash.errors import OptionError
from unsquash.options import ESTIMATED_GAIN_CAP_DB, RestoreOptions
from unsquash.plan import (
    SURE_GAIN_CAP_DB,
    Declipping,
    HybridInversion,
    ModelInversion,
    NeuralInversion,
    describe_compressor,
    make_plan,
    needs_network,
)

LOUD = Levels(
    integrated_lufs=-9.0,
    loudness_range_lu=3.0,
    true_peak_dbtp=0.2,
    sample_peak_dbfs=-0.1,
    rms_dbfs=-12.0,
    crest_db=11.9,
    plr_db=9.2,
    dr_db=6.0,
)
SILENT = Levels(**dict.fromkeys(Levels.__slots__))
CLEAN = Clipping(ceiling_dbfs=None, fraction=0.0, longest_run_samples=0, events=0)
CEILINGS = (Ceiling(positive=0.9, negative=0.9),)
CLIPPED = Clipping(ceiling_dbfs=-0.9, fraction=5e-4, longest_run_samples=20, events=50, ceilings=CEILINGS)


def diagnosis(levels=LOUD, dynamics=None, clipping=CLEAN):
    return Diagnosis(levels=levels, clipping=clipping, bandwidth_hz=20000.0, dynamics=dynamics)


class Verdict:
    confidence = 0.9
    mean_gain_reduction_db = 3.0
    max_gain_reduction_db = 9.0
    is_artificial = False

    def __init__(self, verdict):
        self.verdict = verdict


def test_a_described_compressor_is_inverted_without_a_cap():
    options = RestoreOptions(profile="five/A")
    (stage,) = make_plan(diagnosis(), options).stages
    assert isinstance(stage, ModelInversion)
    assert stage.max_gain_db is None
    assert not needs_network(options)


def test_an_estimated_gain_is_capped():
    (stage,) = make_plan(diagnosis(), RestoreOptions(method="neural")).stages
    assert isinstance(stage, NeuralInversion)
    assert stage.max_gain_db == 12.0
    (stage,) = make_plan(diagnosis(), RestoreOptions(method="neural", max_gain_db=5.0)).stages
    assert stage.max_gain_db == 5.0


def test_auto_leaves_alone_what_was_not_squashed():
    plan = make_plan(diagnosis(dynamics=Verdict("none")), RestoreOptions())
    assert plan.stages == ()
    assert plan.method == "none"
    assert "no sure sign" in plan.reasons[0]
    assert "0.10" in plan.reasons[0]


@pytest.mark.parametrize(("confidence", "remarks"), [(0.9, 0), (0.3, 1)])
def test_a_doubtful_file_is_left_alone_with_a_hint(confidence, remarks):
    verdict = Verdict("none")
    verdict.confidence = confidence
    plan = make_plan(diagnosis(dynamics=verdict), RestoreOptions())
    assert plan.stages == ()
    assert len(plan.warnings) == remarks


@pytest.mark.parametrize(("clipping", "method"), [(CLEAN, "none"), (CLIPPED, "declip")])
def test_what_nobody_played_is_called_by_its_name(clipping, method):
    verdict = Verdict("none")
    verdict.is_artificial = True
    plan = make_plan(diagnosis(dynamics=verdict, clipping=clipping), RestoreOptions())
    assert plan.method == method
    assert "tones, clicks or noise" in plan.reasons[-1]


def test_auto_restores_what_was_squashed_and_says_why():
    plan = make_plan(diagnosis(dynamics=Verdict("limited")), RestoreOptions())
    assert plan.method == "neural"
    assert "limited" in plan.reasons[0]


def test_flat_tops_are_filled_in_where_nothing_else_was_done():
    plan = make_plan(diagnosis(dynamics=Verdict("none"), clipping=CLIPPED), RestoreOptions())
    assert plan.method == "declip"
    assert plan.stages == (Declipping(ceilings=CEILINGS, max_gain_db=ESTIMATED_GAIN_CAP_DB),)
    assert "0.05% of the samples are clipped flat at -0.9 dBFS" in plan.reasons[0]


@pytest.mark.parametrize("method", ["auto", "neural"])
def test_flat_tops_are_filled_in_besides(method):
    found = diagnosis(dynamics=Verdict("limited"), clipping=CLIPPED)
    plan = make_plan(found, RestoreOptions(method=method))
    (stage,) = plan.stages
    assert isinstance(stage, NeuralInversion)
    assert stage.ceilings == CEILINGS
    assert "clipped flat" in plan.reasons[1]


def test_much_clipping_explains_what_looks_limited_but_not_what_looks_compressed():
    much = replace(CLIPPED, fraction=4e-3)
    limited = diagnosis(dynamics=Verdict("limited"), clipping=much)
    assert make_plan(limited, RestoreOptions()).method == "declip"
    assert make_plan(limited, RestoreOptions(method="neural")).method == "neural"
    compressed = diagnosis(dynamics=Verdict("compressed"), clipping=much)
    assert make_plan(compressed, RestoreOptions()).method == "neural"
    some = diagnosis(dynamics=Verdict("limited"), clipping=replace(CLIPPED, fraction=2.5e-3))
    assert make_plan(some, RestoreOptions()).method == "neural"  # limiters flatten a few tops, too


UNPROVEN = (0.0, 1.0, 2.0, 3.0, 2.0, 1.0)


def fitted(agreement=0.9, **changes):
    settings = {"threshold_db": -20.0, "ratio": 4.0, "link": "max", "smoothing": "none", **changes}
    params = CompressorParams(**settings)
    ranges = likely_ranges(params)
    return CompressorFit(
        params=params,
        agreement=agreement,
        amount=1.0,
        deviation_db=2.0,
        least_db=0.5,
        proofs=UNPROVEN,
        music=0.0,
        ranges=ranges,
    )


def test_a_compressor_that_explains_what_is_heard_is_averaged_with_it():
    found = replace(diagnosis(dynamics=Verdict("compressed")), compressor=fitted())
    plan = make_plan(found, RestoreOptions())
    (neural,) = make_plan(found, RestoreOptions(method="neural")).stages
    stage = HybridInversion(
        params=fitted().params, share=0.7, least_db=0.5, neural=neural, max_gain_db=SURE_GAIN_CAP_DB
    )
    assert plan.stages == (stage,)
    for doubtful in (fitted(agreement=0.7), replace(fitted(), amount=2.0)):
        (careful,) = make_plan(replace(found, compressor=doubtful), RestoreOptions()).stages
        assert (careful.share, careful.max_gain_db) == (0.25, ESTIMATED_GAIN_CAP_DB)
    assert plan.method == "hybrid"
    assert plan.models == ("gain-small",)
    assert "4.0:1 over -20 dBFS" in plan.reasons[0]
    assert make_plan(found, RestoreOptions(method="neural")).method == "neural"
    assert make_plan(found, RestoreOptions(link="off")).method == "neural"


def test_it_is_said_that_a_compressor_was_at_work_before():
    found = replace(diagnosis(dynamics=Verdict("compressed")), compressor=fitted())
    assert "before the recording" not in make_plan(found, RestoreOptions()).reasons[0]
    settled = replace(fitted(), params=replace(fitted().params, initial_db=-12.0))
    plan = make_plan(replace(found, compressor=settled), RestoreOptions())
    assert "at work before the recording began" in plan.reasons[0]
    assert plan.stages[0].params.initial_db == -12.0


def test_each_channel_has_its_own_gain_back_where_that_was_found_and_nobody_wants_it_otherwise():
    found = replace(diagnosis(dynamics=Verdict("compressed")), compressor=fitted(link="off"))
    for link in (None, "off"):
        plan = make_plan(found, RestoreOptions(link=link))
        assert plan.method == "hybrid"
        assert plan.stages[0].params.link == "off"
        assert "in each channel on its own" in plan.reasons[0]
    for link in ("max", "mean", "rms"):
        assert make_plan(found, RestoreOptions(link=link)).method == "neural"
        linked = replace(found, compressor=fitted())
        assert "each channel" not in make_plan(linked, RestoreOptions(link=link)).reasons[0]


@pytest.mark.parametrize(
    "fit",
    [fitted(0.49), fitted(ratio=8.0), replace(fitted(), amount=0.2), None],
)
def test_a_doubtful_or_dangerous_compressor_is_not(fit):
    found = replace(diagnosis(dynamics=Verdict("compressed")), compressor=fit)
    assert make_plan(found, RestoreOptions()).method == "neural"


@pytest.mark.parametrize(("best", "share"), [(1, 0.25), (2, 0.5), (4, 0.9), (5, 1.0)])
def test_what_the_noise_proves_is_given_back_by_that_share(best, share):
    proofs = tuple(PROOF + 1.0 if number == best else 0.0 for number in range(len(SHARES)))
    fit = replace(fitted(agreement=0.1, ratio=8.0), amount=0.1, proofs=proofs)
    found = replace(diagnosis(dynamics=Verdict("compressed")), compressor=fit)
    plan = make_plan(found, RestoreOptions())
    (stage,) = plan.stages
    assert stage.share == share
    assert stage.max_gain_db == SURE_GAIN_CAP_DB
    assert "noise" in plan.reasons[0]
    assert ("weight" in plan.reasons[0]) == (share < 1.0)
    (capped,) = make_plan(found, RestoreOptions(max_gain_db=6.0)).stages
    assert capped.max_gain_db == 6.0
    unlike = replace(fit, music=-1.1 * MOST_DOUBT)
    assert make_plan(replace(found, compressor=unlike), RestoreOptions()).method == "neural"
    doubtful = replace(fit, proofs=tuple(0.9 * PROOF / (PROOF + 1.0) * proof for proof in proofs))
    assert make_plan(replace(found, compressor=doubtful), RestoreOptions()).method == "neural"


def test_a_limiter_is_not_taken_for_a_compressor():
    found = replace(diagnosis(dynamics=Verdict("limited")), compressor=fitted())
    assert make_plan(found, RestoreOptions()).method == "neural"


def test_what_is_clipped_besides_is_left_to_the_network():
    found = replace(diagnosis(dynamics=Verdict("compressed"), clipping=CLIPPED), compressor=fitted())
    assert make_plan(found, RestoreOptions()).method == "neural"


@pytest.mark.parametrize("method", ["auto", "neural"])
def test_silence_is_left_alone(method):
    plan = make_plan(diagnosis(levels=SILENT), RestoreOptions(method=method))
    assert plan.stages == ()


@pytest.mark.parametrize("idle", [{"strength": 0.0}, {"max_gain_db": 0.0}, {"method": "none"}])
def test_nothing_is_done_when_nothing_is_asked(idle):
    profile = {} if "method" in idle else {"profile": "five/A"}
    assert make_plan(diagnosis(), RestoreOptions(**profile, **idle)).stages == ()


def test_settings_alone_need_threshold_and_ratio():
    with pytest.raises(OptionError, match="ratio"):
        describe_compressor(None, {"threshold": "-20"}, None)
    params = describe_compressor(None, {"threshold": "-20", "ratio": "4"}, None)
    assert (params.threshold_db, params.ratio, params.link) == (-20.0, 4.0, "max")


def test_published_profiles_link_channels_and_programs_keep_their_own():
    assert describe_compressor("five/A", {}, None).link == "max"
    assert describe_compressor("five/A", {}, "off").link == "off"
    assert describe_compressor("ffmpeg-acompressor", {}, None).link == "mean"
    assert describe_compressor("ffmpeg-acompressor", {"link": "max"}, None).link == "max"


def named(known=0.98, **changes):
    params = CompressorParams(threshold_db=-20.0, ratio=4.0, link="max")
    return Identification(
        profile="five/C", probability=0.6, squashed=0.99, known=known, params=params, offset_db=1.5, **changes
    )


def test_at_its_own_level_less_is_enough():
    found = replace(diagnosis(dynamics=Verdict("none")), identification=replace(named(0.9), offset_db=0.0))
    plan = make_plan(found, RestoreOptions())
    assert plan.method == "model"
    assert "changed" not in plan.reasons[0]


@pytest.mark.parametrize("verdict", ["none", "compressed", "limited"])
def test_a_known_compressor_is_inverted_without_a_cap(verdict):
    found = replace(diagnosis(dynamics=Verdict(verdict)), identification=named())
    plan = make_plan(found, RestoreOptions())
    assert plan.stages == (ModelInversion(params=named().params, max_gain_db=None),)
    assert "five/C" in plan.reasons[0]
    assert "+1.5 dB" in plan.reasons[0]
    assert make_plan(found, RestoreOptions(method="neural")).method == "neural"
    assert make_plan(found, RestoreOptions(link="off")).method != "model"


@pytest.mark.parametrize(
    "identification",
    [
        named(0.5),
        named(invertible=False),
        replace(named(), profile=None),
        replace(named(), offset_db=20.0),
        named(0.95),
        replace(named(0.79), offset_db=0.0),
        None,
    ],
)
def test_a_doubtful_name_is_not_acted_upon(identification):
    found = replace(diagnosis(dynamics=Verdict("compressed")), identification=identification)
    assert make_plan(found, RestoreOptions()).method == "neural"


def test_a_known_compressor_that_was_clipped_besides_is_left_to_the_network():
    found = replace(diagnosis(dynamics=Verdict("compressed"), clipping=CLIPPED), identification=named())
    assert make_plan(found, RestoreOptions()).method == "neural"
