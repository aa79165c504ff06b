from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from unsquash.analysis import dynamics, fitting, identification
from unsquash.analysis.diagnosis import analyze
from unsquash.analysis.dynamics import (
    ARTIFICIAL_LOG_ODDS,
    ARTIFICIAL_PROOF,
    MOST_SUPPORT,
    SQUASHED_PROBABILITY,
    WINDOW_S,
    WINDOWS,
    Dynamics,
    estimate,
    survey,
    weigh_by_noise,
)
from unsquash.analysis.excerpts import Excerpt
from unsquash.analysis.fitting import MOST_DOUBT, CompressorFit
from unsquash.analysis.identification import Identification, Suspects
from unsquash.analysis.noise import PROOF
from unsquash.audio import ArraySource, AudioInfo
from unsquash.dsp.compressor import CompressorParams
from unsquash.errors import OptionError
from unsquash.nets.gain import GainNet, GainNetConfig
from unsquash.nets.profile import ProfileNet, ProfileNetConfig
from unsquash.units import Float64Array

CONFIG = GainNetConfig(
    mel_bands=8, fine_channels=4, coarse_channels=4, embedding_channels=4, embedding_dilations=(1,)
)


LINE = math.log(SQUASHED_PROBABILITY / (1.0 - SQUASHED_PROBABILITY))


@pytest.fixture(scope="module")
def net() -> GainNet:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return GainNet(CONFIG).eval()


def with_judgement(net: GainNet, squashed: float, limited: float, amount: float = 1.0) -> GainNet:
    """The network with its judgement fixed: two logits and the multiple of its estimate."""
    fixed = GainNet(CONFIG).eval()
    fixed.load_state_dict(net.state_dict())
    last = fixed.judge.layers[2]
    torch.manual_seed(4)
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.normal_(fixed.leave.weight, std=3.0)  # an estimate that moves
    with torch.no_grad():
        last.bias[:] = torch.tensor([squashed, limited, np.log(amount)])
    return fixed


class CountingSource:
    """Hours of noise that exists only where it is read."""

    def __init__(self, info: AudioInfo) -> None:
        self.info = info
        self.reads: list[tuple[int, int]] = []

    def read(self, start: int = 0, stop: int | None = None) -> Float64Array:
        assert stop is not None
        self.reads.append((start, stop))
        return np.random.default_rng(start).uniform(-0.5, 0.5, (self.info.channels, stop - start))

    def blocks(
        self, start: int = 0, stop: int | None = None, block_frames: int = 1
    ) -> Iterator[Float64Array]:
        raise AssertionError("the survey must not read the whole file")


def source_of(seconds: float, sample_rate: int = 8_000) -> CountingSource:
    info = ArraySource(np.zeros((1, 1)), sample_rate).info
    fields = {name: getattr(info, name) for name in info.__dataclass_fields__}
    return CountingSource(AudioInfo(**(fields | {"frames": int(seconds * sample_rate)})))


def test_reading_is_bounded_spread_out_and_repeatable(net: GainNet) -> None:
    source = source_of(3 * 3600)
    first = survey(source, 0.5, net)
    assert len(source.reads) == WINDOWS
    assert sum(stop - start for start, stop in source.reads) < 1.01 * WINDOWS * WINDOW_S * 8_000
    assert source.reads[0][0] == 0
    assert source.reads[-1][1] == source.info.frames
    gaps = np.diff([start for start, _ in source.reads])
    assert gaps.max() - gaps.min() <= 1
    second = survey(source, 0.5, net)
    assert second.dynamics() == first.dynamics()
    assert second.hearing.amount == first.hearing.amount
    np.testing.assert_array_equal(second.hearing.conditioning, first.hearing.conditioning)
    assert first.hearing.conditioning.shape == (net.conditioning_size,)


@pytest.mark.parametrize("seconds", [0.001, 0.5, 20.0, 90.0])
def test_a_short_file_is_read_whole_and_once(net: GainNet, seconds: float) -> None:
    source = source_of(seconds)
    assert np.isfinite(survey(source, 0.5, net).hearing.conditioning).all()
    assert source.reads[0][0] == 0
    assert source.reads[-1][1] == source.info.frames
    assert all(stop == start for (_, stop), (start, _) in zip(source.reads, source.reads[1:], strict=False))


def test_only_the_level_relative_to_the_peak_matters(net: GainNet) -> None:
    samples = np.random.default_rng(0).uniform(-1.0, 1.0, (2, 30_000))
    one = survey(ArraySource(samples, 44_100), 1.0, net)
    two = survey(ArraySource(0.01 * samples[::-1].copy(), 44_100), 0.01, net)
    np.testing.assert_allclose(one.hearing.conditioning, two.hearing.conditioning, atol=1e-4)
    assert one.hearing.amount == pytest.approx(two.hearing.amount, rel=1e-3)
    piece = samples[:, :8192]
    np.testing.assert_allclose(
        estimate(piece, one.hearing, net), estimate(0.01 * piece[::-1], two.hearing, net), rtol=1e-2
    )


def fit_of(
    params: CompressorParams,
    *,
    agreement: float = 0.9,
    amount: float = 1.0,
    proofs: tuple[float, ...] = (0.0, 3.0, 3.0, 3.0, 3.0, 3.0),
    music: float = 0.0,
) -> CompressorFit:
    return CompressorFit(
        params=params,
        agreement=agreement,
        amount=amount,
        deviation_db=2.0,
        least_db=0.5,
        proofs=proofs,
        music=music,
        ranges={},
    )


@pytest.mark.parametrize(
    ("squashed", "limited", "verdict"),
    [(-5.0, 0.0, "none"), (6.0, 3.0, "limited"), (6.0, -3.0, "compressed")],
)
def test_the_verdict_follows_the_judge_with_its_probability(
    net: GainNet, squashed: float, limited: float, verdict: str
) -> None:
    dynamics = survey(source_of(1.0), 0.5, with_judgement(net, squashed, limited)).dynamics()
    assert dynamics.verdict == verdict
    assert 0.98 < dynamics.confidence < 1.0
    assert 0.0 < dynamics.mean_gain_reduction_db < dynamics.max_gain_reduction_db


def test_the_amount_scales_what_is_said_and_what_is_given_back(net: GainNet) -> None:
    one = survey(source_of(1.0), 0.5, with_judgement(net, 6.0, 0.0))
    half = survey(source_of(1.0), 0.5, with_judgement(net, 6.0, 0.0, amount=0.5))
    assert half.hearing.amount == pytest.approx(0.5)
    assert half.maximum_db == pytest.approx(0.5 * one.maximum_db)
    piece = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 8192))
    halved, whole = (estimate(piece, found.hearing, net) for found in (half, one))
    assert whole.shape == (32,)
    np.testing.assert_allclose(halved, 0.5 * whole)


def test_a_doubtful_or_hardly_squashed_file_is_left_alone(net: GainNet) -> None:
    doubtful = survey(source_of(1.0), 0.5, with_judgement(net, 1.0, 0.0)).dynamics()
    slight = survey(source_of(1.0), 0.5, with_judgement(net, 9.0, 0.0, amount=0.02)).dynamics(9.0)
    assert doubtful.verdict == slight.verdict == "none"


@pytest.mark.parametrize(("log_odds", "verdict"), [(0.0, "none"), (1.0, "none"), (1.5, "compressed")])
def test_a_second_opinion_can_speak_for_a_compressor(net: GainNet, log_odds: float, verdict: str) -> None:
    seen = survey(source_of(1.0), 0.5, with_judgement(net, LINE - 1.2, 3.0))
    assert seen.looks_limited
    assert seen.dynamics(log_odds).verdict == verdict


@pytest.mark.parametrize(
    ("squashed", "possible"), [(LINE - MOST_SUPPORT - 0.1, False), (LINE - MOST_SUPPORT + 0.1, True)]
)
def test_a_second_opinion_is_not_believed_against_the_first(
    net: GainNet, squashed: float, possible: bool
) -> None:
    seen = survey(source_of(1.0), 0.5, with_judgement(net, squashed, -3.0))
    assert seen.may_be_compressed is possible
    assert (seen.dynamics(1e3).verdict == "compressed") is possible


def test_a_second_opinion_cannot_speak_against_anything(net: GainNet) -> None:
    seen = survey(source_of(1.0), 0.5, with_judgement(net, 6.0, 3.0))
    assert seen.dynamics(-4.0) == seen.dynamics()
    assert seen.dynamics().verdict == "limited"


@pytest.mark.parametrize(
    "field", [{"confidence": 1.5}, {"verdict": "loud"}, {"mean_gain_reduction_db": -1.0}]
)
def test_impossible_dynamics_cannot_be_made(field: dict[str, object]) -> None:
    values = {
        "verdict": "none",
        "confidence": 0.5,
        "mean_gain_reduction_db": 0.0,
        "max_gain_reduction_db": 0.0,
    }
    with pytest.raises(OptionError):
        Dynamics(**(values | field))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("known", "invertible", "searched"), [(0.95, True, False), (0.95, False, True), (0.5, True, True)]
)
def test_settings_are_searched_for_only_where_no_known_compressor_will_do(
    net: GainNet, monkeypatch: pytest.MonkeyPatch, known: float, invertible: bool, searched: bool
) -> None:
    params = CompressorParams(threshold_db=-20.0, ratio=4.0)
    named = Identification(
        profile="mine",
        probability=known,
        squashed=1.0,
        known=known,
        params=params,
        invertible=invertible,
        other=params,
    )
    calls = []

    def fit(listeners: object, estimates_db: object, params: CompressorParams) -> CompressorFit:
        calls.append(estimates_db)
        return fit_of(params)

    monkeypatch.setattr(identification, "seek", lambda *_, **__: named)
    monkeypatch.setattr(fitting, "fit_compressor", fit)
    monkeypatch.setattr(dynamics, "NOTICEABLE_DEVIATION_DB", 0.0)
    suspects = Suspects(net=ProfileNet(ProfileNetConfig(mel_bands=8)).eval(), known={"mine": params})
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 6 * 8_000))
    squashing = with_judgement(net, 6.0, -5.0)
    found = analyze(ArraySource(samples, 8_000), net=squashing, suspects=suspects)
    assert found.dynamics is not None
    assert found.dynamics.verdict == "compressed"
    assert found.identification == named
    assert bool(calls) is searched


@pytest.mark.parametrize(
    ("squashed", "log_odds", "verdict", "told"),
    [
        (LINE - 1.3, 2.0, "compressed", True),
        (LINE - 1.3, 1.0, "none", False),
        (LINE - MOST_SUPPORT - 0.3, 80.0, "none", False),
        (6.0, -10.0, "compressed", True),
    ],
)
def test_a_compressor_that_both_networks_speak_for_is_evidence(
    net: GainNet,
    monkeypatch: pytest.MonkeyPatch,
    squashed: float,
    log_odds: float,
    verdict: str,
    told: bool,
) -> None:
    params = CompressorParams(threshold_db=-6.0, ratio=2.0)
    fit = fit_of(params)
    odds = math.exp(log_odds)
    other = Identification(
        profile=None,
        probability=odds / (1.0 + odds),
        squashed=odds / (1.0 + odds),
        known=0.0,
        params=params,
        other=params,
    )
    monkeypatch.setattr(identification, "seek", lambda *_, **__: other)
    monkeypatch.setattr(fitting, "fit_compressor", lambda *_: fit)
    suspects = Suspects(net=ProfileNet(ProfileNetConfig(mel_bands=8)).eval(), known={})
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 6 * 8_000))
    found = analyze(ArraySource(samples, 8_000), net=with_judgement(net, squashed, -5.0), suspects=suspects)
    assert found.dynamics is not None
    assert found.dynamics.verdict == verdict
    assert found.compressor == (fit if told else None)


@pytest.mark.parametrize(("limited", "verdict"), [(-5.0, "compressed"), (5.0, "limited")])
@pytest.mark.parametrize(("proof", "is_believed"), [(0.9 * PROOF, False), (1.1 * PROOF, True)])
def test_what_the_noise_proves_of_the_networks_gain_needs_no_other_evidence(
    net: GainNet,
    monkeypatch: pytest.MonkeyPatch,
    limited: float,
    verdict: str,
    proof: float,
    is_believed: bool,
) -> None:
    monkeypatch.setattr(identification, "seek", lambda *_, **__: None)
    monkeypatch.setattr(dynamics, "weigh_by_noise", lambda seen, *_: replace(seen, proof=proof))
    monkeypatch.setattr(dynamics, "NOTICEABLE_DEVIATION_DB", 0.0)
    suspects = Suspects(net=ProfileNet(ProfileNetConfig(mel_bands=8)).eval(), known={})
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 6 * 8_000))
    doubtful = with_judgement(net, LINE - 8.0, limited)
    found = analyze(ArraySource(samples, 8_000), net=doubtful, suspects=suspects)
    assert found.dynamics is not None
    assert found.dynamics.verdict == (verdict if is_believed else "none")


@pytest.mark.parametrize(
    ("proofs", "music", "verdict", "told"),
    [
        ((0.0, 0.0, 0.0, 0.0, 0.0, 20.0), 0.0, "compressed", True),
        ((0.0, 0.0, 0.0, 0.0, 0.0, 20.0), -1.1 * MOST_DOUBT, "none", False),
        ((20.0, 0.0, 0.0, 0.0, 0.0, 0.0), 0.0, "compressed", False),  # by what the network hears
        ((0.0, 0.0, 0.0, 0.0, 0.0, 9.0), 0.0, "none", False),
    ],
)
def test_what_the_noise_proves_of_a_compressor_is_believed_against_the_judge(
    net: GainNet,
    monkeypatch: pytest.MonkeyPatch,
    proofs: tuple[float, ...],
    music: float,
    verdict: str,
    told: bool,
) -> None:
    params = CompressorParams(threshold_db=-6.0, ratio=2.0)
    fit = fit_of(params, agreement=0.1, amount=0.1, proofs=proofs, music=music)
    other = Identification(
        profile=None, probability=0.9, squashed=0.9, known=0.0, params=params, other=params
    )
    monkeypatch.setattr(identification, "seek", lambda *_, **__: other)
    monkeypatch.setattr(fitting, "fit_compressor", lambda *_: fit)
    monkeypatch.setattr(dynamics, "weigh_by_noise", lambda seen, *_: replace(seen, proof=proofs[0]))
    monkeypatch.setattr(dynamics, "NOTICEABLE_DEVIATION_DB", 0.0)
    suspects = Suspects(net=ProfileNet(ProfileNetConfig(mel_bands=8)).eval(), known={})
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 6 * 8_000))
    unlikely = with_judgement(net, LINE - 8.0, -5.0, amount=0.001)
    found = analyze(ArraySource(samples, 8_000), net=unlikely, suspects=suspects)
    assert found.dynamics is not None
    assert found.dynamics.verdict == verdict
    assert found.compressor == (fit if told else None)


@pytest.mark.parametrize(("heard", "multiple"), [(0.5, 2.0), (0.7, 1.4), (1.2, 0.85)])
def test_the_noise_says_by_how_much_the_estimate_is_too_small(
    net: GainNet, monkeypatch: pytest.MonkeyPatch, heard: float, multiple: float
) -> None:
    rng = np.random.default_rng(5)
    frames = 860
    reduction_db = 6.0 * np.square(np.sin(np.arange(frames) / 40.0))
    gain = 10.0 ** (-6.0 * np.square(np.sin((np.arange(256 * frames) / 256.0 - 0.5) / 40.0)) / 20.0)
    tone = 0.5 * np.sin(0.1 * np.arange(gain.size))
    samples = (gain * (tone + 1e-4 * rng.standard_normal(gain.size)))[None]
    excerpts = [Excerpt(samples=samples, lead=np.zeros((2, 0)))]
    seen = survey(ArraySource(samples, 44_100), float(samples.max()), with_judgement(net, 0.0, 0.0))
    monkeypatch.setattr(dynamics, "estimate", lambda *_: heard * reduction_db)
    weighed = weigh_by_noise(seen, excerpts, net)
    assert weighed.proof > PROOF
    assert weighed.hearing.amount == pytest.approx(multiple * seen.hearing.amount, rel=0.1)
    assert weighed.deviation_db / seen.deviation_db == pytest.approx(
        weighed.hearing.amount / seen.hearing.amount
    )
    monkeypatch.setattr(dynamics, "estimate", lambda *_: rng.uniform(0.0, 6.0, frames))
    assert weigh_by_noise(seen, excerpts, net) == seen
    assert weigh_by_noise(seen, [], net) == seen


@pytest.mark.parametrize("limited", [-5.0, 5.0])
def test_what_the_noise_proves_of_a_compressor_without_an_inverse_proves_nothing_of_the_network(
    net: GainNet, monkeypatch: pytest.MonkeyPatch, limited: float
) -> None:
    params = CompressorParams(threshold_db=-6.0, ratio=2.0)
    other = Identification(
        profile=None, probability=0.9, squashed=0.9, known=0.0, params=params, other=params
    )
    proven = fit_of(params, proofs=(0.0, 0.0, 0.0, 0.0, 0.0, 2.0 * PROOF))
    monkeypatch.setattr(identification, "seek", lambda *_, **__: other)
    monkeypatch.setattr(fitting, "fit_compressor", lambda *_: proven)
    monkeypatch.setattr(dynamics, "NOTICEABLE_DEVIATION_DB", 0.0)
    suspects = Suspects(net=ProfileNet(ProfileNetConfig(mel_bands=8)).eval(), known={})
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 6 * 8_000))
    for invertible, verdict in ((True, "compressed"), (False, "none")):
        monkeypatch.setattr(identification, "is_invertible", lambda *_, said=invertible: said)
        unlikely = with_judgement(net, LINE - 3.0, limited)
        found = analyze(ArraySource(samples, 8_000), net=unlikely, suspects=suspects)
        assert found.dynamics is not None
        assert found.dynamics.verdict == verdict
        assert (found.compressor is not None) is invertible


def test_what_looks_limited_is_left_to_the_network(net: GainNet, monkeypatch: pytest.MonkeyPatch) -> None:
    params = CompressorParams(threshold_db=-6.0, ratio=2.0)
    other = Identification(
        profile=None, probability=1.0, squashed=1.0, known=0.0, params=params, other=params
    )
    monkeypatch.setattr(identification, "seek", lambda *_, **__: other)
    monkeypatch.setattr(dynamics, "NOTICEABLE_DEVIATION_DB", 0.0)
    suspects = Suspects(net=ProfileNet(ProfileNetConfig(mel_bands=8)).eval(), known={})
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 6 * 8_000))
    limiting = with_judgement(net, 6.0, 5.0)
    found = analyze(ArraySource(samples, 8_000), net=limiting, suspects=suspects)
    assert found.dynamics is not None
    assert found.dynamics.verdict == "limited"
    assert found.compressor is None


@pytest.mark.parametrize(
    ("network", "compressor", "verdict"),
    [(0.0, 2.0, "compressed"), (5.0, 5.5, "limited"), (5.0, 6.5, "compressed"), (0.0, 0.5, "limited")],
)
def test_what_looks_limited_was_compressed_if_the_noise_says_so_far_louder(
    net: GainNet, monkeypatch: pytest.MonkeyPatch, network: float, compressor: float, verdict: str
) -> None:
    params = CompressorParams(threshold_db=-6.0, ratio=2.0)
    other = Identification(
        profile=None, probability=0.1, squashed=0.1, known=0.0, params=params, other=params
    )
    fit = fit_of(params, proofs=(PROOF * network, 0.0, 0.0, 0.0, 0.0, PROOF * compressor))
    monkeypatch.setattr(identification, "seek", lambda *_, **__: other)
    monkeypatch.setattr(fitting, "fit_compressor", lambda *_: fit)
    monkeypatch.setattr(dynamics, "NOTICEABLE_DEVIATION_DB", 0.0)
    suspects = Suspects(net=ProfileNet(ProfileNetConfig(mel_bands=8)).eval(), known={})
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 6 * 8_000))
    found = analyze(ArraySource(samples, 8_000), net=with_judgement(net, 6.0, 5.0), suspects=suspects)
    assert found.dynamics is not None
    assert found.dynamics.verdict == verdict
    assert (found.compressor is not None) is (verdict == "compressed")


@pytest.mark.parametrize(
    ("known", "other", "told"),
    [(12.0, 20.0, "other"), (20.0, 12.0, "known"), (9.0, 12.0, "other"), (5.0, 9.0, "known")],
)
def test_of_a_known_compressor_and_another_one_the_noise_chooses(
    net: GainNet, monkeypatch: pytest.MonkeyPatch, known: float, other: float, told: str
) -> None:
    settings = {
        "known": CompressorParams(threshold_db=-6.0, ratio=2.0),
        "other": CompressorParams(threshold_db=-9.0, ratio=3.0),
    }
    fits = {
        settings[name]: fit_of(settings[name], proofs=(0.0, 0.0, 0.0, 0.0, 0.0, proof))
        for name, proof in (("known", known), ("other", other))
    }
    unsure = Identification(
        profile="mine",
        probability=0.5,
        squashed=0.99,
        known=0.5,
        params=settings["known"],
        other=settings["other"],
    )
    monkeypatch.setattr(identification, "seek", lambda *_, **__: unsure)
    monkeypatch.setattr(fitting, "fit_compressor", lambda _, __, params: fits[params])
    suspects = Suspects(net=ProfileNet(ProfileNetConfig(mel_bands=8)).eval(), known={})
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 6 * 8_000))
    found = analyze(ArraySource(samples, 8_000), net=with_judgement(net, LINE + 1.0, -5.0), suspects=suspects)
    assert found.compressor is not None
    assert found.compressor.params == settings[told]


def test_a_gain_that_the_network_hardly_hears_is_noticed_if_a_compressor_surely_made_it(
    net: GainNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = CompressorParams(threshold_db=-6.0, ratio=2.0)
    fit = fit_of(params, amount=9.0, proofs=(0.0, 0.0, 0.0, 0.0, 0.0, 8.0))
    other = Identification(
        profile=None, probability=1.0, squashed=1.0, known=0.0, params=params, other=params
    )
    monkeypatch.setattr(identification, "seek", lambda *_, **__: other)
    monkeypatch.setattr(fitting, "fit_compressor", lambda *_: fit)
    suspects = Suspects(net=ProfileNet(ProfileNetConfig(mel_bands=8)).eval(), known={})
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 6 * 8_000))
    for squashed, verdict in ((LINE - 1.3, "compressed"), (LINE - MOST_SUPPORT - 0.3, "none")):
        slight = with_judgement(net, squashed, -5.0, amount=0.001)
        found = analyze(ArraySource(samples, 8_000), net=slight, suspects=suspects)
        assert found.dynamics is not None
        assert found.dynamics.verdict == verdict


@pytest.mark.parametrize(
    ("log_odds", "share", "looked_beyond", "is_sure"),
    [
        (2.0, 0.9, True, True),
        (1.0, 0.9, True, False),  # not squashed after all
        (2.0, 0.7, True, False),  # which one is the question
        (2.0, 0.9, False, False),  # the others were never asked
    ],
)
def test_what_speaks_for_any_compressor_speaks_for_the_known_ones(
    net: GainNet,
    monkeypatch: pytest.MonkeyPatch,
    log_odds: float,
    share: float,
    looked_beyond: bool,
    is_sure: bool,
) -> None:
    params = CompressorParams(threshold_db=-6.0, ratio=2.0)
    squashed = 1.0 / (1.0 + math.exp(-log_odds))
    named = Identification(
        profile="mine",
        probability=squashed * share,
        squashed=squashed,
        known=squashed * share,
        params=params,
        other=params if looked_beyond else None,
    )
    fit = fit_of(params)
    monkeypatch.setattr(identification, "seek", lambda *_, **__: named)
    monkeypatch.setattr(fitting, "fit_compressor", lambda *_: fit)
    suspects = Suspects(net=ProfileNet(ProfileNetConfig(mel_bands=8)).eval(), known={"mine": params})
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 6 * 8_000))
    found = analyze(ArraySource(samples, 8_000), net=with_judgement(net, LINE - 1.3, -5.0), suspects=suspects)
    assert found.dynamics is not None
    assert found.identification is not None
    assert found.identification.is_usable is is_sure
    left = is_sure or not looked_beyond or found.dynamics.verdict == "none"
    assert (found.compressor is None) is left


def test_a_peak_whose_inverse_is_no_number_is_heard_as_faint(net: GainNet) -> None:
    samples = np.full((1, 44_100 * 2), 1e-310)
    found = survey(ArraySource(samples, 44_100), 1e-310, net)
    assert np.isfinite(1.0 / found.hearing.peak)
    assert np.isfinite(found.hearing.conditioning).all()


def test_what_is_no_music_is_left_alone_however_squashed_it_looks(
    net: GainNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    sure = with_judgement(net, 9.0, -1.0)
    monkeypatch.setattr(dynamics, "NOTICEABLE_DEVIATION_DB", 0.0)

    def heard(artificial: float) -> dynamics.Survey:
        last = sure.judge.artificial_layers[2]
        with torch.no_grad():
            last.weight.zero_()
            last.bias.fill_(artificial)
        return survey(source_of(10), 0.5, sure)

    music, tones = heard(ARTIFICIAL_LOG_ODDS - 0.5), heard(ARTIFICIAL_LOG_ODDS + 0.5)
    assert not music.is_artificial
    assert music.dynamics().verdict == "compressed"
    assert tones.is_artificial
    assert tones.dynamics(MOST_SUPPORT).verdict == "none"
    assert tones.dynamics().confidence >= 0.5
    assert not tones.may_be_compressed
    assert not replace(tones, proof=PROOF).is_artificial


@pytest.mark.parametrize(("known", "is_believed"), [(0.95, True), (0.85, False)])
def test_in_what_is_no_music_only_a_name_beyond_doubt_is_believed(
    net: GainNet, monkeypatch: pytest.MonkeyPatch, known: float, is_believed: bool
) -> None:
    params = CompressorParams(threshold_db=-6.0, ratio=2.0)
    named = Identification(profile="mine", probability=known, squashed=known, known=known, params=params)
    assert named.is_usable
    monkeypatch.setattr(identification, "seek", lambda *_, **__: named)
    tones = with_judgement(net, 9.0, -5.0)
    torch.nn.init.constant_(tones.judge.artificial_layers[2].bias, 5.0)
    suspects = Suspects(net=ProfileNet(ProfileNetConfig(mel_bands=8)).eval(), known={"mine": params})
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 6 * 8_000))
    found = analyze(ArraySource(samples, 8_000), net=tones, suspects=suspects)
    assert found.dynamics is not None
    assert found.dynamics.verdict == "none"
    assert found.identification == (named if is_believed else None)


@pytest.mark.parametrize(
    ("proof", "verdict"), [(1.1 * ARTIFICIAL_PROOF, "compressed"), (0.9 * ARTIFICIAL_PROOF, "none")]
)
def test_what_sounds_like_no_music_was_compressed_if_the_noise_surely_proves_it(
    net: GainNet, monkeypatch: pytest.MonkeyPatch, proof: float, verdict: str
) -> None:
    params = CompressorParams(threshold_db=-6.0, ratio=2.0)
    other = Identification(
        profile=None, probability=0.9, squashed=0.9, known=0.0, params=params, other=params
    )
    fit = fit_of(params, proofs=(0.0, 0.0, 0.0, 0.0, 0.0, proof))
    monkeypatch.setattr(identification, "seek", lambda *_, **__: other)
    monkeypatch.setattr(fitting, "fit_compressor", lambda *_: fit)
    tones = with_judgement(net, 0.0, -5.0)
    torch.nn.init.constant_(tones.judge.artificial_layers[2].bias, 5.0)
    suspects = Suspects(net=ProfileNet(ProfileNetConfig(mel_bands=8)).eval(), known={})
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 6 * 8_000))
    found = analyze(ArraySource(samples, 8_000), net=tones, suspects=suspects)
    assert found.dynamics is not None
    assert found.dynamics.verdict == verdict
    assert found.dynamics.is_artificial is (verdict == "none")
    assert (found.compressor is None) is (verdict == "none")
    assert (found.identification is None) is (verdict == "none")
