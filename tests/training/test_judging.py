from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from unsquash.errors import OutputError
from unsquash.nets.gain import GainNet, GainNetConfig
from unsquash.nets.judge import STATISTICS, Judge
from unsquash.training.calibrate import judge
from unsquash.training.checkpoint import load_net, save_net
from unsquash.training.corpus import SAMPLE_RATE
from unsquash.training.examples import NetExample, Source
from unsquash.training.judging import CAUTION, TRUST, Outcomes, excerpts, fit_judge, main, moderate, observe

CONFIG = GainNetConfig(mel_bands=8, fine_channels=4, coarse_channels=4, embedding_channels=4)


def an_example(seed: int) -> NetExample:
    """An excerpt whose first feature tells what was done to it."""
    rng = np.random.default_rng(seed)
    verdict = seed % 3
    features = rng.standard_normal((58, 64)).astype(np.float16)
    features[0] += 3 * (verdict - 1)
    return NetExample(
        features=features,
        reduction_db=np.zeros(256, dtype=np.float16),
        energy=np.ones(256, dtype=np.float32),
        verdict=verdict,
        amount_db=np.full(3, verdict, dtype=np.float32),
    )


def outcomes_of(seeds: range) -> Outcomes:
    """What if the estimate were half the truth in compressed files, fair in limited ones, and wrong else?

    One of the statistics tells what was done.
    """
    verdict = torch.tensor([seed % 3 for seed in seeds])
    generator = torch.Generator().manual_seed(seeds[0])
    statistics = torch.randn(len(seeds), STATISTICS, generator=generator)
    statistics[:, 0] += 4.0 * verdict
    return Outcomes(
        statistics=statistics,
        variance=torch.full((len(seeds),), 0.02),
        covariance=torch.tensor([0.0, 0.02, 0.04])[verdict],
        untouched=torch.tensor([0.0, 0.03, 0.1])[verdict],
        verdict=verdict,
    )


def test_half_of_the_excerpts_are_of_music_that_only_the_judge_hears(tmp_path: Path) -> None:
    for name, seed in (("a.wav", 1), ("b.wav", 2)):
        noise = 0.1 * np.random.default_rng(seed).standard_normal((4 * SAMPLE_RATE, 2))
        soundfile.write(tmp_path / name, noise, SAMPLE_RATE)
    header, row = "file,kind,split,artist_or_repo,licence,plr_db\n", "a.wav,mix,train,a,CC0,15\n"
    (tmp_path / "catalog.csv").write_text(header + row)
    plain = Source(
        audio=[tmp_path],
        cache=tmp_path / "cache",
        validation_artists=(),
        mel_bands=8,
        noise_bands=4,
        seed=1,
        plugin_share=0.0,
        moved_share=0.0,
    )
    assert [track.part for track in plain.tracks("train")] == ["train"]
    of_training = list(excerpts(plain, 2))
    (tmp_path / "catalog.csv").write_text(header + row + "b.wav,mix,judging,b,CC0,15\n")
    first, second = excerpts(plain, 2)
    assert np.array_equal(first.features, of_training[0].features)
    assert not np.array_equal(second.features, of_training[1].features)


def test_the_judge_learns_how_much_to_give_back_and_nothing_else_changes(tmp_path) -> None:
    torch.manual_seed(0)
    net = GainNet(CONFIG).eval()
    before = {name: value.clone() for name, value in net.state_dict().items() if "judge" not in name}
    assert fit_judge(net, outcomes_of(range(1500)), seed=0) > 1.5
    save_net(net, tmp_path / "net.safetensors")
    net = load_net(tmp_path / "net.safetensors")
    unseen = outcomes_of(range(1500, 1620))
    with torch.no_grad():
        judgement = net.judge(unseen.statistics)
    squashed, limited = judgement.squashed > 0.0, judgement.limited > 0.0
    assert (squashed == (unseen.verdict > 0)).float().mean() > 0.9
    assert (limited == (unseen.verdict == 1))[unseen.verdict > 0].float().mean() > 0.9
    assert float(judgement.amount[unseen.verdict == 0].median()) < 0.3
    assert 0.7 < float(judgement.amount[unseen.verdict == 1].median()) < 1.3
    assert 1.5 < float(judgement.amount[unseen.verdict == 2].median()) < 2.5
    for name, value in before.items():
        torch.testing.assert_close(net.state_dict()[name], value, atol=1e-3, rtol=1e-2)


def test_outcomes_are_quadratic_in_the_amount() -> None:
    torch.manual_seed(0)
    net = GainNet(CONFIG).eval()
    example = an_example(1)
    example.reduction_db[::2] = 6.0
    outcomes = observe(net, [example])
    assert float(outcomes.gain_db(torch.zeros(1))) == 0.0
    best = outcomes.covariance / outcomes.variance
    for factor in (0.5, 1.5):
        assert float(outcomes.gain_db(factor * best)) <= float(outcomes.gain_db(best)) + 1e-6


def test_an_unfitted_network_can_be_read(tmp_path) -> None:
    net = GainNet(CONFIG).eval()
    save_net(net, tmp_path / "net.safetensors")
    again = load_net(tmp_path / "net.safetensors")
    judged = judge(again, [an_example(0), an_example(1)])
    assert judged.squashed.tolist() == [0.0, 1.0]


def test_moderation_draws_amounts_towards_caution_and_leaves_the_rest() -> None:
    torch.manual_seed(0)
    moderated = Judge()
    statistics = torch.randn(8, STATISTICS)
    before = moderated(statistics)
    moderate(moderated)
    after = moderated(statistics)
    torch.testing.assert_close(after.amount, CAUTION * before.amount**TRUST)
    torch.testing.assert_close(after.squashed, before.squashed)


@pytest.mark.parametrize(
    ("options", "error"), [(["--examples", "19"], SystemExit), (["--out", "nowhere/judged"], OutputError)]
)
def test_what_cannot_end_well_is_not_begun(
    options: list[str], error: type[BaseException], tmp_path: Path
) -> None:
    recipe = Path(__file__).parents[2] / "models" / "gain-small" / "recipe.toml"
    places = ["--audio", str(tmp_path), "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "judged")]
    with pytest.raises(error):
        main(["model.safetensors", str(recipe), *places, *options])
