"""The search and the weighing, apart from how well any network scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from unsquash.analysis.candidates import LEAD_S, LINKS, followed_levels
from unsquash.analysis.excerpts import EXCERPTS, Excerpt, read_excerpts
from unsquash.analysis.identification import Identification, identify
from unsquash.analysis.listening import Listener
from unsquash.analysis.noise import PROOF
from unsquash.analysis.ranges import likely_ranges
from unsquash.analysis.space import NOTHING, compressor_at, place_of
from unsquash.analysis.starting import SETTLED, begun
from unsquash.audio import ArraySource
from unsquash.dsp.compressor import CompressorParams, Detector, Link, Smoothing
from unsquash.dsp.profiles import load_profile, load_profile_set
from unsquash.nets.gain import GainNetConfig
from unsquash.nets.profile import EXCERPT_SAMPLES
from unsquash.nets.timebase import Timebase

KNOWN = load_profile_set("thirty")
TOPOLOGY = ("link", "detector", "smoothing")


class Oracle:
    """A listener that knows the truth: a candidate scores worse the farther its settings are."""

    truth: CompressorParams = NOTHING
    sharpness, best, proof = 400.0, 20.0, 0.0

    def __init__(self, excerpt: Excerpt) -> None:
        self.excerpt = excerpt

    def log_ratios(self, candidates: Sequence[CompressorParams], *, at_once: int) -> np.ndarray:
        if self.truth == NOTHING:
            return np.full(len(candidates), -10.0)
        here = place_of(self.truth)
        places = np.array([place_of(candidate) for candidate in candidates])
        other = np.array([candidate.smoothing != self.truth.smoothing for candidate in candidates])
        music = self.best - self.sharpness * np.square(places - here).sum(axis=1) - 50.0 * other
        return music + self.noise_log_ratios(candidates)

    def noise_log_ratios(self, candidates: Sequence[CompressorParams], *, at_once: int = 1) -> np.ndarray:
        return self.noise_and_depth(candidates)[0]

    def rested_noise_log_ratios(
        self, candidates: Sequence[CompressorParams], *, at_once: int = 1
    ) -> np.ndarray:
        return self.noise_log_ratios(candidates)

    def rested_log_ratios(self, candidates: Sequence[CompressorParams], *, at_once: int = 1) -> np.ndarray:
        settled_db = [
            -99.0 if one.initial_db is None else one.initial_db for one in (self.truth, *candidates)
        ]
        return self.log_ratios(candidates, at_once=at_once) - np.abs(np.array(settled_db)[1:] - settled_db[0])

    def finer(self) -> Oracle:
        return self

    def noise_and_depth(
        self, candidates: Sequence[CompressorParams], *, lead_s: float = LEAD_S
    ) -> tuple[np.ndarray, np.ndarray]:
        distances = [np.square(place_of(one) - place_of(self.truth)).sum() for one in candidates]
        alike = np.array(
            [all(getattr(one, name) == getattr(self.truth, name) for name in TOPOLOGY) for one in candidates]
        )
        return self.proof * (0.5 + 0.5 * alike - np.array(distances)), np.zeros(len(candidates))


@pytest.fixture
def oracle() -> type[Oracle]:
    class Fresh(Oracle):
        pass

    return Fresh


def heard_by(oracle: type[Oracle], scale: float = 1.0, channels: int = 1) -> list[Listener]:
    noise = np.random.default_rng(0).uniform(-1.0, 1.0, (channels, 2560))
    noise[0, 0] = 1.0
    leads = [np.zeros((len(LINKS) + channels, length)) for length in range(2)]
    return [oracle(Excerpt(samples=scale * noise, lead=lead)) for lead in leads]  # type: ignore[misc]


@pytest.mark.parametrize("offset_db", [0.0, 6.0, -9.0, 4.5, -4.26])
def test_a_known_compressor_is_named_whatever_the_level(oracle: type[Oracle], offset_db: float) -> None:
    oracle.sharpness = 2000.0
    shifted = KNOWN["thirty/21"].threshold_db + offset_db
    oracle.truth = replace(KNOWN["thirty/21"], threshold_db=shifted)
    found = identify(heard_by(oracle), KNOWN)
    assert found.profile == "thirty/21"
    assert found.known > 0.5
    assert found.squashed > 0.99
    assert found.offset_db == pytest.approx(offset_db, abs=0.021)
    assert found.params.threshold_db == pytest.approx(shifted, abs=0.021)
    assert found.ranges == {}


def test_an_unknown_one_is_searched_for(oracle: type[Oracle]) -> None:
    oracle.truth = compressor_at(np.array([0.5, 0.9, 0.1, 0.1, 0.1, 0.3]), smoothed=True)
    found = identify(heard_by(oracle), KNOWN)
    assert found.profile is None
    assert found.params.threshold_db == pytest.approx(oracle.truth.threshold_db, abs=1.0)
    assert found.params.ratio == pytest.approx(oracle.truth.ratio, rel=0.1)
    assert found.ranges == likely_ranges(found.params)


@pytest.mark.parametrize(
    ("truth", "sharpness", "several"), [("thirty/21", 100.0, False), ("thirty/14", 5.0, True)]
)
def test_the_known_ones_are_listed_and_add_up(
    oracle: type[Oracle], truth: str, sharpness: float, several: bool
) -> None:
    oracle.sharpness = sharpness
    oracle.truth = KNOWN[truth]
    found = identify(heard_by(oracle), KNOWN, search=not several)
    shares = list(found.profiles.values())
    assert next(iter(found.profiles)) == truth == found.profile
    assert shares == sorted(shares, reverse=True)
    assert (len(shares) > 1) == several
    assert shares[0] == found.probability
    assert sum(shares) == pytest.approx(found.known, abs=0.03)
    assert found.known <= found.squashed + 1e-12


def test_any_number_of_equally_good_presets_is_listed(oracle: type[Oracle]) -> None:
    oracle.sharpness = 0.0
    oracle.truth = KNOWN["thirty/21"]
    presets = {str(number): KNOWN["thirty/21"] for number in range(1500)}
    found = identify(heard_by(oracle), presets, search=False)
    assert found.profile is not None
    assert len(found.profiles) > 1000


def test_what_was_searched_for_leaves_the_list(oracle: type[Oracle]) -> None:
    oracle.sharpness = 40.0
    oracle.truth = compressor_at(np.array([0.5, 0.9, 0.1, 0.1, 0.1, 0.3]), smoothed=True)
    found = identify(heard_by(oracle), KNOWN)
    assert found.profile is None
    assert 0.0 < sum(found.profiles.values()) <= found.known < found.probability
    assert identify(heard_by(oracle), {}).profiles == {}


def test_who_names_a_set_of_their_own_has_reason_to(oracle: type[Oracle]) -> None:
    oracle.sharpness = 40.0
    oracle.truth = KNOWN["thirty/21"]
    own = {name.replace("/", " "): params for name, params in KNOWN.items()}
    published, mine = (identify(heard_by(oracle), known) for known in (KNOWN, own))
    assert mine.known > published.known
    assert mine.squashed > 0.99


def test_what_the_noise_proves_is_looked_for_more_closely(oracle: type[Oracle]) -> None:
    place = np.array([0.5, 0.9, 0.1, 0.1, 0.1, 0.3])
    oracle.truth = replace(compressor_at(place, smoothed=True), link="max")
    oracle.sharpness, far = 40.0, []
    for oracle.proof in (0.0, 0.4 * PROOF, 40.0 * PROOF):
        found = identify(heard_by(oracle), {}).params
        far.append(float(np.abs(place_of(found) - place_of(oracle.truth)).max()))
    assert far[0] == far[1] > 3.0 * far[2]
    assert far[2] < 0.01


@pytest.mark.parametrize("link", ["mean", "off"])
@pytest.mark.parametrize(("detector", "smoothing"), [("peak", "none"), ("rms", "none"), ("rms", "linear")])
def test_the_noise_tells_detector_smoothing_and_link(
    oracle: type[Oracle], link: Link, detector: Detector, smoothing: Smoothing
) -> None:
    place = np.array([0.5, 0.6, 0.3, 0.3, 0.3, 0.3])
    smoothed = smoothing == "linear"
    found_at = compressor_at(place, smoothed=smoothed)
    oracle.truth = replace(found_at, link=link, detector=detector)
    oracle.proof = 20.0 * PROOF
    found = identify(heard_by(oracle, channels=2), KNOWN, thoroughly=False)
    assert found.profile is None
    assert (found.params.link, found.params.detector, found.params.smoothing) == (link, detector, smoothing)
    assert found.params.threshold_db == pytest.approx(oracle.truth.threshold_db, abs=1.0)


def test_a_gain_that_the_noise_proves_far_more_is_not_looked_for(oracle: type[Oracle]) -> None:
    oracle.truth = replace(compressor_at(np.full(6, 0.4), smoothed=True), link="max")
    oracle.proof, oracle.best = 2.0 * PROOF, -50.0
    assert identify(heard_by(oracle), KNOWN, thoroughly=False).other is not None
    assert identify(heard_by(oracle), KNOWN, thoroughly=False, heard=30.0 * PROOF).other is None


def test_nothing_done_is_no_compressor(oracle: type[Oracle]) -> None:
    oracle.truth = NOTHING
    found = identify(heard_by(oracle), KNOWN)
    assert found.squashed < 0.01
    assert not found.is_sure


def test_the_same_excerpts_give_the_same_answer(oracle: type[Oracle]) -> None:
    oracle.truth = compressor_at(np.full(6, 0.4), smoothed=True)
    one, other = (identify(heard_by(oracle), {}) for _ in range(2))
    assert one == other


@pytest.mark.parametrize(
    ("seconds", "rate", "count"), [(1.5, 44_100, 0), (3.0, 44_100, 1), (12.0, 48_000, 2), (60.0, 22_050, 6)]
)
def test_excerpts_are_spread_over_the_recording(seconds: float, rate: int, count: int) -> None:
    samples = np.random.default_rng(0).uniform(-1.0, 1.0, (2, int(seconds * rate)))
    found = read_excerpts(ArraySource(samples, rate), Timebase.between(rate, GainNetConfig()))
    assert len(found) == count <= EXCERPTS
    assert [e.is_first for e in found] == [True] * min(1, count) + [False] * (count - 1)
    assert all(e.samples.shape[1] <= EXCERPT_SAMPLES and e.samples.shape[1] % 1024 == 0 for e in found)


def test_an_excerpt_comes_with_what_was_before_it() -> None:
    samples = np.random.default_rng(0).uniform(-1.0, 1.0, (2, 60 * 44_100)).astype(np.float32)
    found = read_excerpts(ArraySource(samples, 44_100), Timebase.between(44_100, GainNetConfig()))
    starts = np.linspace(0, samples.shape[1] - EXCERPT_SAMPLES, EXCERPTS).astype(int)
    for start, excerpt in zip(starts, found, strict=True):
        led = excerpt.lead.shape[1]
        assert min(start, LEAD_S * 44_100) - 1024 < led <= min(start, LEAD_S * 44_100)
        before = samples[:, start - led : start].astype(np.float64)
        assert np.allclose(excerpt.lead, followed_levels(before), atol=1e-7)
        assert np.array_equal(excerpt.samples, samples[:, start : start + EXCERPT_SAMPLES])


def test_silent_excerpts_are_left_out() -> None:
    samples = np.zeros((1, 20 * 44_100))
    samples[0, : 6 * 44_100] = 0.5
    found = read_excerpts(ArraySource(samples, 44_100), Timebase.between(44_100, GainNetConfig()))
    assert len(found) == 2


def test_places_and_compressors_correspond() -> None:
    place = np.array([0.1, 0.9, 0.3, 0.5, 0.7, 0.2])
    assert place_of(compressor_at(place, smoothed=True)) == pytest.approx(place)


def test_a_recording_too_quiet_for_any_threshold_is_no_error(oracle: type[Oracle]) -> None:
    oracle.truth = compressor_at(np.full(6, 0.4), smoothed=True)
    assert -200.0 <= identify(heard_by(oracle, 1e-9), {}).params.threshold_db <= 0.0


def test_what_is_known_otherwise_leaves_the_known_ones_their_shares() -> None:
    params = CompressorParams(threshold_db=-20.0, ratio=4.0)
    found = Identification(
        profile="one",
        probability=0.1,
        squashed=0.25,
        known=0.2,
        params=params,
        other=params,
        profiles={"one": 0.1},
    )
    surer = found.given(0.5)
    assert surer.profiles == pytest.approx({"one": 0.2})
    assert (surer.squashed, surer.known, surer.probability) == pytest.approx((0.5, 0.4, 0.2))
    assert found.given(0.2) == found
    alone = replace(found, other=None)
    assert alone.given(0.5) == alone


def test_others_were_looked_for_or_not(oracle: type[Oracle]) -> None:
    oracle.truth = KNOWN["thirty/21"]
    assert identify(heard_by(oracle), KNOWN).other is not None
    assert identify(heard_by(oracle), KNOWN, search=False).other is None
    oracle.truth = NOTHING
    assert identify(heard_by(oracle), KNOWN, thoroughly=False).other is None
    assert identify(heard_by(oracle), KNOWN).other is not None


def test_a_known_one_that_could_be_taken_for_granted_must_stand_against_others(oracle: type[Oracle]) -> None:
    oracle.truth = compressor_at(np.array([0.5, 0.9, 0.1, 0.1, 0.1, 0.3]), smoothed=True)
    oracle.sharpness, oracle.best = 40.0, 60.0
    found = identify(heard_by(oracle), KNOWN, thoroughly=False)
    assert found.other is not None
    assert not found.is_sure


def test_of_known_ones_that_do_the_same_the_one_whose_level_changed_less_is_named(
    oracle: type[Oracle],
) -> None:
    oracle.sharpness, oracle.truth = 1e5, replace(KNOWN["thirty/21"], threshold_db=-33.0)
    alike = {f"mine {level}": replace(KNOWN["thirty/21"], threshold_db=float(level)) for level in (-49, -35)}
    found = identify(heard_by(oracle), alike, search=False)
    assert found.profile == "mine -35"
    assert found.offset_db == pytest.approx(2.0, abs=0.05)
    assert found.profiles["mine -35"] > 1.5 * found.profiles["mine -49"] > 0.0


@pytest.mark.parametrize("offset_db", [0.0, 9.0])
def test_up_to_ten_decibels_any_change_is_as_likely_as_another(
    oracle: type[Oracle], offset_db: float
) -> None:
    oracle.sharpness, oracle.truth = 1e5, replace(KNOWN["thirty/21"], threshold_db=-33.0)
    alike = {
        name: replace(KNOWN["thirty/21"], threshold_db=-33.0 - change_db)
        for name, change_db in (("one", 1.0), ("other", offset_db + 0.5))
    }
    found = identify(heard_by(oracle), alike, search=False)
    assert found.profiles["one"] == pytest.approx(found.profiles["other"], rel=0.1)


def test_a_compressor_that_was_at_work_before_is_seen_to_have_settled(oracle: type[Oracle]) -> None:
    oracle.sharpness, oracle.truth = 2000.0, replace(KNOWN["thirty/21"], initial_db=-12.4)
    for search in (False, True):
        found = identify(heard_by(oracle), KNOWN, search=search)
        assert found.params.initial_db == pytest.approx(-12.4, abs=0.5)
        assert search == (found.other is not None)
        assert not search or found.other.initial_db == pytest.approx(-12.4, abs=0.5)  # type: ignore[union-attr]


def test_a_beginning_that_says_little_was_from_rest(oracle: type[Oracle]) -> None:
    oracle.truth = KNOWN["thirty/21"]
    listeners = heard_by(oracle)
    first = listeners[0]

    def little(candidates: Sequence[CompressorParams], *, at_once: int) -> np.ndarray:
        return np.array([0.0 if one.initial_db is None else 0.9 * SETTLED for one in candidates])

    first.rested_log_ratios = little  # type: ignore[method-assign]
    assert begun(listeners, oracle.truth) == oracle.truth
    assert begun(listeners[1:], replace(oracle.truth)) == oracle.truth


@pytest.mark.parametrize(
    "params",
    [
        load_profile("sc4"),
        load_profile("sox-compand"),
        replace(KNOWN["thirty/21"], mode="expand"),
        replace(KNOWN["thirty/21"], ratio=1.0),
    ],
    ids=["sc4", "sox", "expander", "none"],
)
def test_where_a_start_means_something_else_it_is_as_it_was(
    oracle: type[Oracle], params: CompressorParams
) -> None:
    oracle.truth = params
    assert begun(heard_by(oracle), params) is params


@pytest.mark.parametrize("peak", [1.0, 1e29])
def test_any_peak_leaves_starts_that_are_possible(oracle: type[Oracle], peak: float) -> None:
    asked: list[CompressorParams] = []

    def heard(candidates: Sequence[CompressorParams], *, at_once: int) -> np.ndarray:
        asked.extend(candidates)
        return np.arange(len(candidates), dtype=float)

    listeners = heard_by(oracle, scale=peak)
    listeners[0].rested_log_ratios = heard  # type: ignore[method-assign]
    found = begun(listeners, replace(KNOWN["thirty/21"], ratio=1.2))
    assert found == asked[-1]
    assert found.initial_db is not None


@pytest.mark.parametrize(
    ("known", "excerpts", "offset_db", "is_sure"),
    [
        (0.79, 1, 0.0, False),
        (0.81, 1, 0.0, True),
        (0.89, 3, 0.0, False),  # with several excerpts there should be less doubt
        (0.91, 3, 0.0, True),
        (0.95, 1, -3.0, False),
        (0.97, 3, -3.0, True),
        (1.00, 3, -15.0, False),
    ],
)
def test_how_sure_a_name_must_be(known: float, excerpts: int, offset_db: float, is_sure: bool) -> None:
    found = Identification(
        profile="mine",
        probability=known,
        squashed=known,
        known=known,
        params=CompressorParams(threshold_db=-20.0, ratio=4.0),
        offset_db=offset_db,
        excerpts=excerpts,
    )
    assert found.is_sure is is_sure


def test_how_many_excerpts_were_heard_is_told(oracle: type[Oracle]) -> None:
    oracle.truth = KNOWN["thirty/21"]
    listeners = heard_by(oracle)
    assert identify(listeners, KNOWN, search=False).excerpts == len(listeners)
    assert identify(listeners, {}).excerpts == len(listeners)


def test_a_level_changed_by_much_is_believed_if_the_noise_proves_it() -> None:
    params = CompressorParams(threshold_db=-20.0, ratio=4.0)
    far = Identification(
        profile="one", probability=0.99, squashed=0.99, known=0.99, params=params, offset_db=22.0
    )
    assert not far.is_sure
    assert replace(far, proof=PROOF).is_sure
    assert not replace(far, proof=PROOF, known=0.9).is_sure
