"""What one excerpt says of candidate compressors."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from unsquash.analysis.candidates import LINKS, candidate_curves_db, followed_levels, stepped
from unsquash.analysis.excerpts import Excerpt
from unsquash.analysis.listening import Listener
from unsquash.analysis.noise import NoiseLevels
from unsquash.analysis.scorers import (
    DEEPEST_DB,
    NOTHING_LOG_ODDS,
    PER_ABSURD_DB,
    TEMPER,
    added,
    by_noise,
    links_of,
    log_odds_of,
    pooled,
    threads_each,
)
from unsquash.analysis.space import NOTHING
from unsquash.dsp.compressor import CompressorParams, compress, linked_level
from unsquash.dsp.curve_kernels import Float32Array
from unsquash.nets.profile import EXCERPT_SAMPLES, ProfileNet, ProfileNetConfig
from unsquash.nets.scoring import BATCH, EncodedExcerpt
from unsquash.parallel import LIMIT
from unsquash.units import Float64Array

CANDIDATES = [
    CompressorParams(threshold_db=-30.0, ratio=4.0, attack_ms=5.0, release_ms=80.0),
    CompressorParams(threshold_db=-20.0, ratio=2.0, attack_ms=30.0, release_ms=500.0),
]


@pytest.fixture
def net() -> ProfileNet:
    torch.manual_seed(1)
    return ProfileNet(ProfileNetConfig(mel_bands=8)).eval()


def an_excerpt(lead_samples: int) -> Excerpt:
    rng = np.random.default_rng(2)
    samples = rng.uniform(-0.5, 0.5, (1, EXCERPT_SAMPLES)) * np.linspace(0.1, 1.0, EXCERPT_SAMPLES)
    lead = rng.uniform(-0.5, 0.5, (1, lead_samples))
    return Excerpt(samples=samples, lead=followed_levels(lead))


def ratios(excerpt: Excerpt, net: ProfileNet, *, from_rest: bool, state_known: bool) -> Float64Array:
    """Compare each candidate's score with that of a compressor that does nothing; add what the noise says."""
    level = stepped(np.abs(excerpt.samples).max(axis=0))
    curves = candidate_curves_db(
        level, [NOTHING, *CANDIDATES], from_rest=from_rest, lead=stepped(excerpt.lead[0])
    )
    scores = EncodedExcerpt(excerpt.samples, net).scores(curves, state_known=state_known)
    known_s = math.inf if from_rest else excerpt.lead_s
    return scores[1:] - scores[0] + NoiseLevels(excerpt.samples).log_ratios(CANDIDATES, curves[1:], known_s)


def test_a_later_excerpt_begins_in_the_state_that_its_lead_leads_to(net: ProfileNet) -> None:
    excerpt = an_excerpt(44_100)
    heard = Listener(excerpt, net).log_ratios(CANDIDATES)
    expected = ratios(excerpt, net, from_rest=False, state_known=True)
    np.testing.assert_allclose(heard, expected, atol=1e-5)
    assert np.abs(heard - ratios(excerpt, net, from_rest=True, state_known=True)).max() > 1e-4


def test_the_first_one_begins_at_rest_or_anywhere(net: ProfileNet) -> None:
    excerpt = an_excerpt(0)
    anywhere = ratios(excerpt, net, from_rest=False, state_known=False)
    at_rest = ratios(excerpt, net, from_rest=True, state_known=True)
    expected = np.log(0.5 * (np.exp(anywhere) + np.exp(at_rest)))
    np.testing.assert_allclose(Listener(excerpt, net).log_ratios(CANDIDATES), expected, atol=1e-5)


@pytest.mark.parametrize("lead_samples", [0, 44_100])
def test_curves_at_hand_change_nothing(net: ProfileNet, lead_samples: int) -> None:
    listener = Listener(an_excerpt(lead_samples), net)
    given = listener.log_ratios(CANDIDATES, listener.gains_db(CANDIDATES))
    assert np.array_equal(given, listener.log_ratios(CANDIDATES))
    others = listener.log_ratios(CANDIDATES, listener.gains_db(CANDIDATES[::-1]))
    assert np.abs(given - others).max() > 1e-4


@pytest.mark.parametrize("lead_samples", [0, 44_100])
def test_threads_change_nothing(net: ProfileNet, lead_samples: int) -> None:
    listener, many = Listener(an_excerpt(lead_samples), net), CANDIDATES * (2 * BATCH)
    alone = listener.log_ratios(many)
    assert np.array_equal(listener.log_ratios(many, at_once=3), alone)
    few = listener.log_ratios(CANDIDATES)
    np.testing.assert_allclose(alone.reshape(-1, len(few)), np.tile(few, (2 * BATCH, 1)), atol=1e-4)


@pytest.mark.parametrize("lead_samples", [0, 44_100])
def test_a_gain_follows_the_channels_as_its_link_says(net: ProfileNet, lead_samples: int) -> None:
    rng = np.random.default_rng(3)
    wide = rng.uniform(-0.5, 0.5, (2, EXCERPT_SAMPLES)) * [[1.0], [0.2]]
    before = rng.uniform(-0.5, 0.5, (2, lead_samples))
    listener = Listener(Excerpt(samples=wide, lead=followed_levels(before)), net)
    many = [dataclasses.replace(CANDIDATES[0], link=link) for link in ("mean", "max", "off", "rms") * 20]
    gains_db = listener.gains_db(many)
    for one, link in enumerate(("mean", "max", "off", "max")):
        for channel in range(2):
            row = 0 if link != "off" else channel
            level, lead = (stepped(linked_level(some, link)[row]) for some in (wide, before))
            alone = candidate_curves_db(level, [CANDIDATES[0]], from_rest=False, lead=lead)
            np.testing.assert_allclose(gains_db[one::4, channel], np.tile(alone, (20, 1)), atol=1e-4)
    assert np.array_equal(listener.gains_db(many, at_once=3), gains_db)
    np.testing.assert_allclose(listener.curves_db(many), gains_db.mean(axis=1), atol=1e-5)
    assert np.abs(gains_db[0] - gains_db[1]).max() > 1.0
    assert np.abs(gains_db[2, 0] - gains_db[2, 1]).max() > 1.0
    assert listener.gains_db(many[:2]).shape[1] == 1
    assert links_of([listener]) == (*LINKS, "off")


def test_many_channels_are_looked_at_together(net: ProfileNet) -> None:
    samples = np.random.default_rng(3).uniform(-0.5, 0.5, (3, EXCERPT_SAMPLES)) * [[0.2], [1.0], [0.4]]
    levels = followed_levels(samples)
    assert len(levels) == len(LINKS)
    listener = Listener(Excerpt(samples=samples, lead=levels[:, :0]), net)
    assert links_of([listener]) == LINKS
    off, largest = (dataclasses.replace(CANDIDATES[0], link=link) for link in ("off", "max"))
    gains_db = listener.gains_db([off, largest])
    assert gains_db.shape[1] == 1
    np.testing.assert_array_equal(gains_db[0], gains_db[1])


def test_where_channels_are_alike_one_link_is_as_good_as_another(net: ProfileNet) -> None:
    mono = an_excerpt(0)
    both = Excerpt(samples=np.concatenate([mono.samples, -mono.samples]), lead=mono.lead)
    assert links_of([Listener(one, net) for one in (mono, both)]) == LINKS[:1]


@pytest.mark.parametrize("lead_samples", [0, 44_100])
def test_gains_between_an_estimate_and_a_compressors_are_judged_by_the_noise(
    net: ProfileNet, lead_samples: int
) -> None:
    times_s = np.arange(EXCERPT_SAMPLES + lead_samples) / 44_100.0
    swelling = 0.5 * (1.0 + np.sin(5.0 * times_s)) * np.sin(1000.0 * times_s)
    noise = 1e-4 * np.random.default_rng(4).standard_normal(times_s.size)
    squashed = compress((swelling + noise)[None], 44_100.0, CANDIDATES[0]).samples
    before, samples = np.split(squashed, [lead_samples], axis=1)
    listener = Listener(Excerpt(samples=samples, lead=followed_levels(before)), net)
    (other,) = candidate_curves_db(listener.levels[0], CANDIDATES[1:], from_rest=True)
    alone, half, whole = listener.proofs(CANDIDATES[0], -other.astype(np.float64), (0.0, 0.5, 1.0))
    levels = NoiseLevels(samples)
    assert alone == pytest.approx(levels.log_ratios(CANDIDATES[1:], other[None], math.inf)[0], abs=1e-3)
    assert whole == pytest.approx(listener.noise_log_ratios(CANDIDATES[:1])[0], abs=1e-3)
    assert whole > half + 10.0 > alone + 20.0


def test_nobody_may_be_asked_of(net: ProfileNet) -> None:
    assert Listener(an_excerpt(0), net).log_ratios([]).shape == (0,)


def test_who_is_far_behind_by_the_noise_is_not_asked_of(
    net: ProfileNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NoiseLevels, "log_ratios", lambda *_: np.array([100.0, 0.0]))
    asked = []
    scores = EncodedExcerpt.scores

    def counted(self: EncodedExcerpt, curves_db: Float32Array, **how: int) -> Float64Array:
        asked.append(len(curves_db))
        return scores(self, curves_db, **how)

    monkeypatch.setattr(EncodedExcerpt, "scores", counted)
    excerpt = an_excerpt(44_100)
    near, far = Listener(excerpt, net).log_ratios(CANDIDATES)
    assert asked == [2]  # nothing done, and the one that is near
    assert near - far >= 100.0


def test_threads_are_divided_among_excerpts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, "8")
    assert [threads_each(count) for count in (0, 1, 3, 6, 9)] == [8, 8, 2, 1, 1]


def test_several_excerpts_say_less_than_their_sum() -> None:
    one = np.array([1.0, -2.0])
    np.testing.assert_allclose(added([one]), one)
    np.testing.assert_allclose(added([one] * 6), 6.0**TEMPER * one)


def test_what_evidence_must_make_up_for_grows_as_it_does() -> None:
    one = np.array([NOTHING_LOG_ODDS + 1.0])
    assert log_odds_of(float(one[0]), 1) == pytest.approx(1.0)
    for count in (2, 6):
        several = float(added([one] * count)[0])
        assert log_odds_of(several, count) == pytest.approx(count**TEMPER)


def test_only_the_end_of_what_came_before_counts_if_so_asked(net: ProfileNet) -> None:
    rng = np.random.default_rng(5)
    samples = rng.uniform(-0.5, 0.5, (1, EXCERPT_SAMPLES))
    lead = rng.uniform(-0.5, 0.5, (1, 8 * 44_100)) * np.linspace(0.01, 1.0, 8 * 44_100)
    whole = Listener(Excerpt(samples=samples, lead=followed_levels(lead)), net)
    brief = Listener(Excerpt(samples=samples, lead=followed_levels(lead[:, -2 * 44_100 :])), net)
    slow = [dataclasses.replace(one, release_ms=3000.0) for one in CANDIDATES]
    np.testing.assert_array_equal(whole.gains_db(slow, lead_s=2.0), brief.gains_db(slow))
    assert np.abs(whole.gains_db(slow) - brief.gains_db(slow)).max() > 1e-4


def test_what_nobody_would_do_speaks_against_a_candidate(net: ProfileNet) -> None:
    samples = 0.3 * np.random.default_rng(6).standard_normal((1, EXCERPT_SAMPLES))
    samples[0, 1000:-1000] += 0.5 * np.sin(0.05 * np.arange(EXCERPT_SAMPLES - 2000))
    listener = Listener(Excerpt(samples=samples, lead=followed_levels(samples[:, :0])), net)
    absurd = dataclasses.replace(CANDIDATES[0], threshold_db=-60.0, ratio=20.0)
    said, depth_db = listener.noise_and_depth([absurd])
    assert depth_db[0] > DEEPEST_DB + 10.0
    expected = said[0] - PER_ABSURD_DB * (depth_db[0] - DEEPEST_DB)
    assert by_noise([listener])([absurd])[0] == pytest.approx(expected)


@pytest.mark.parametrize("lead_samples", [0, 44_100])
def test_a_finer_listener_computes_gains_sample_by_sample(net: ProfileNet, lead_samples: int) -> None:
    excerpt = an_excerpt(lead_samples)
    listener = Listener(excerpt, net)
    fine = listener.finer()
    magnitude, lead = np.abs(excerpt.samples[0]), np.abs(excerpt.lead[0])
    exact = candidate_curves_db(magnitude, CANDIDATES, from_rest=False, lead=lead, step_samples=1)
    np.testing.assert_allclose(fine.gains_db(CANDIDATES)[:, 0], exact, atol=1e-4)
    assert np.abs(listener.gains_db(CANDIDATES)[:, 0] - exact).max() > 1e-3
    scorers = pooled([listener]), pooled([fine]), pooled([listener], finely=True)
    rough, expected, asked = (one(CANDIDATES) for one in scorers)
    assert np.array_equal(asked, expected)
    assert not np.array_equal(asked, rough)
    by = by_noise([fine]), by_noise([listener], finely=True)
    assert np.array_equal(*(one(CANDIDATES) for one in by))


def test_only_the_beginning_is_asked_what_was_at_rest(net: ProfileNet) -> None:
    times_s = np.arange(EXCERPT_SAMPLES) / 44_100.0
    swelling = 0.5 * (1.0 + np.sin(5.0 * times_s)) * np.sin(1000.0 * times_s)
    noise = 1e-4 * np.random.default_rng(4).standard_normal(times_s.size)
    squashed = compress((swelling + noise)[None], 44_100.0, CANDIDATES[0]).samples
    first = Listener(Excerpt(samples=squashed, lead=followed_levels(squashed[:, :0])), net)
    later = Listener(Excerpt(samples=squashed, lead=followed_levels(squashed[:, :44_100])), net)
    assert first.rested_noise_log_ratios(CANDIDATES)[0] > 1.0
    assert np.array_equal(later.rested_noise_log_ratios(CANDIDATES), np.zeros(len(CANDIDATES)))
