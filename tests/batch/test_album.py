"""Albums: one diagnosis, one level, no gaps."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import soundfile

import unsquash
from unsquash.analysis.clipping import Clipping
from unsquash.analysis.diagnosis import analyze
from unsquash.analysis.dynamics import Hearing
from unsquash.audio import ArraySource, open_audio
from unsquash.batch.joined import DividedObserver, JoinedSource, cut_stream
from unsquash.batch.ledger import LEDGER_NAME
from unsquash.batch.pooling import fit_to_stretch
from unsquash.dsp.ceilings import Ceiling
from unsquash.options import RestoreOptions
from unsquash.pipeline import restore_file
from unsquash.plan import Declipping, NeuralInversion, Plan
from unsquash.stages import GainObserver

KNOWN = RestoreOptions(profile="five/C")
CUTS = (0, 30_011, 30_500, 99_999, 131_072)


def read(path):
    return soundfile.read(path, always_2d=True)[0].T


@pytest.fixture
def album(tmp_path, song):
    """A folder of four tracks that were squashed as one piece, and the piece itself beside it."""
    options = unsquash.SquashOptions(profile="five/C")
    squashed = unsquash.squash(1.6 * song[:, : CUTS[-1]], 44100, options)
    folder = tmp_path / "music" / "album"
    folder.mkdir(parents=True)
    for number, (start, stop) in enumerate(pairwise(CUTS), start=8):
        soundfile.write(folder / f"{number}.wav", squashed[:, start:stop].T, 44100, "FLOAT")
    soundfile.write(tmp_path / "joined.wav", squashed.T, 44100, "FLOAT")
    return folder


def joined(folder):
    return np.concatenate([read(folder / f"{number}.wav") for number in range(8, 12)], axis=1)


def residual_dbfs(a, b):
    return 20 * np.log10(np.abs(a - b).max() + 1e-12)


@pytest.mark.parametrize("depth", ["24", "32f"])
def test_joined_outputs_are_the_output_of_the_joined_input(album, tmp_path, batch, depth):
    options = RestoreOptions(profile="five/C", bit_depth=depth)
    recorder = batch(album.parent, tmp_path / "out", options, album=True)
    assert recorder.counts == {"restored": 4}
    whole = restore_file(tmp_path / "joined.wav", tmp_path / "whole.wav", options)
    levels = {outcome.report.level_gain_db for outcome in recorder.outcomes.values()}
    assert levels == {whole.level_gain_db}
    assert residual_dbfs(joined(tmp_path / "out" / "album"), read(tmp_path / "whole.wav")) < -80
    batch(album.parent, tmp_path / "apart", options)
    assert residual_dbfs(joined(tmp_path / "apart" / "album"), read(tmp_path / "whole.wav")) > -80


@pytest.mark.slow
def test_the_network_sees_the_album_as_one_recording(album, tmp_path, batch):
    options = RestoreOptions(method="neural", bit_depth="32f", device="cpu")
    assert batch(album.parent, tmp_path / "out", options, album=True).counts == {"restored": 4}
    restore_file(tmp_path / "joined.wav", tmp_path / "whole.wav", options)
    assert residual_dbfs(joined(tmp_path / "out" / "album"), read(tmp_path / "whole.wav")) < -80


def test_the_loudest_track_decides_the_level_of_its_album_only(album, tmp_path, batch):
    other = album.parent / "quiet"
    other.mkdir()
    soundfile.write(other / "1.wav", read(album / "8.wav").T * 0.1, 44100, "FLOAT")
    options = RestoreOptions(profile="five/C", bit_depth="24")
    outcomes = batch(album.parent, tmp_path / "out", options, album=True).outcomes
    gains = {name: outcome.report.level_gain_db for name, outcome in outcomes.items()}
    assert gains.pop("quiet/1.wav") == 0.0
    assert len(set(gains.values())) == 1
    peaks = [outcomes[name].report.levels.true_peak_dbtp for name in gains]
    assert max(peaks) == pytest.approx(-1.0, abs=0.01)
    assert min(peaks) < -1.05


def test_each_track_is_told_its_own_gain(album, tmp_path, batch):
    outcomes = batch(album.parent, tmp_path / "out", KNOWN, album=True).outcomes
    means = [outcome.report.gain.mean_db for outcome in outcomes.values()]
    assert len(set(means)) == 4
    lengths = np.diff(CUTS)
    whole = restore_file(tmp_path / "joined.wav", tmp_path / "whole.wav", KNOWN)
    assert np.average(means, weights=lengths) == pytest.approx(whole.gain.mean_db, abs=1e-9)


def test_an_album_that_is_left_alone_is_copied(album, tmp_path, batch):
    recorder = batch(album.parent, tmp_path / "out", RestoreOptions(method="none"), album=True)
    assert recorder.counts == {"unchanged": 4}
    for path in album.iterdir():
        assert (tmp_path / "out" / "album" / path.name).read_bytes() == path.read_bytes()


def test_an_album_that_needs_another_format_gets_one_level(album, tmp_path, batch):
    for path in album.iterdir():
        soundfile.write(path, read(path).T * 3.0, 44100, "FLOAT")
    options = RestoreOptions(method="none", bit_depth="24")
    outcomes = batch(album.parent, tmp_path / "out", options, album=True).outcomes
    gains = {outcome.report.level_gain_db for outcome in outcomes.values()}
    assert len(gains) == 1
    assert gains.pop() < 0.0


def test_tracks_of_different_rates_share_diagnosis_and_level(album, tmp_path, batch):
    soundfile.write(album / "9b.wav", read(album / "9.wav").T, 48000, "PCM_24")
    soundfile.write(album / "9c.wav", read(album / "9.wav")[:1].T, 44100, "PCM_24")
    options = RestoreOptions(profile="five/C", bit_depth="24", level=-20.0)
    outcomes = batch(album.parent, tmp_path / "out", options, album=True).outcomes
    assert len(outcomes) == 6
    assert len({outcome.report.level_gain_db for outcome in outcomes.values()}) == 1
    assert len({outcome.report.diagnosis for outcome in outcomes.values()}) == 1
    assert soundfile.info(tmp_path / "out" / "album" / "9b.wav").samplerate == 48000


def declipping(diagnosis, options):
    return Plan(stages=(Declipping(ceilings=diagnosis.clipping.ceilings, max_gain_db=24.0),), reasons=())


def test_every_stretch_is_declipped_where_its_own_tops_are_flat(song, tmp_path, batch, monkeypatch):
    folder = tmp_path / "music" / "album"
    folder.mkdir(parents=True)
    loud = song[:, :60_000] / np.abs(song[:, :60_000]).max()
    soundfile.write(folder / "1.wav", np.clip(loud, -0.4, 0.5).T, 44100, "FLOAT")
    soundfile.write(folder / "2.wav", np.clip(loud[0, :50_000], -0.2, 0.3), 44100, "FLOAT")
    soundfile.write(folder / "3.wav", loud[:, :40_000].T, 48000, "FLOAT")
    for module in ("batch.album", "pipeline"):
        monkeypatch.setattr(f"unsquash.{module}.make_plan", declipping)
    options = RestoreOptions(method="none")
    assert batch(folder.parent, tmp_path / "out", options, album=True).counts == {"restored": 3}
    for name in ("1.wav", "2.wav"):
        restore_file(folder / name, tmp_path / name, options)
        assert np.abs(read(tmp_path / name)).max() > np.abs(read(folder / name)).max()
        assert np.array_equal(read(tmp_path / "out" / "album" / name), read(tmp_path / name))
    assert np.array_equal(read(tmp_path / "out" / "album" / "3.wav"), read(folder / "3.wav"))


def test_the_network_hears_every_stretch_relative_to_its_own_peak():
    def found(peak, ceilings=()):
        clipping = Clipping(
            ceiling_dbfs=None, fraction=0.0, longest_run_samples=0, events=0, ceilings=ceilings
        )
        hearing = Hearing(peak=peak, conditioning=np.full(4, peak), amount=peak)
        return replace(analyze(ArraySource(np.zeros((1, 9)), 44100)), clipping=clipping, hearing=hearing)

    mono = (Ceiling(positive=0.2, negative=None),)
    neural = NeuralInversion(model="any", linked=True, max_gain_db=12.0, ceilings=2 * mono)
    plan, heard = fit_to_stretch(Plan(stages=(neural,), reasons=()), found(0.9), found(0.3, mono), 1)
    assert heard.hearing.peak == 0.3
    assert heard.hearing.amount == 0.9
    assert np.all(heard.hearing.conditioning == 0.9)
    assert plan.stages == (replace(neural, ceilings=mono),)
    silent = replace(found(0.5), hearing=None)
    assert fit_to_stretch(Plan(stages=(), reasons=()), found(0.9), silent, 1)[1].hearing.peak == 0.9


def test_a_clipped_album_of_mixed_channels_is_restored_by_the_network(song, tmp_path, batch):
    folder = tmp_path / "music" / "album"
    folder.mkdir(parents=True)
    loud = np.clip(song[:, :88_200] / np.abs(song[:, :88_200]).max(), -0.3, 0.3)
    soundfile.write(folder / "1.wav", loud.T, 44100, "PCM_16")
    soundfile.write(folder / "2.wav", loud[0], 44100, "PCM_16")
    options = RestoreOptions(method="neural", device="cpu")
    assert batch(folder.parent, tmp_path / "out", options, album=True).counts == {"restored": 2}


@pytest.mark.parametrize("clipped", [1, 2])
def test_flat_tops_are_filled_in_however_long_what_has_none_is(song, tmp_path, batch, clipped):
    folder = tmp_path / "music" / "album"
    folder.mkdir(parents=True)
    clean = 0.5 * song[:, :132_300] / np.abs(song).max()
    tracks = {1: clean[:, :88_200], 2: clean[:1]}  # two stretches: their channels differ
    tracks[clipped] = np.clip(tracks[clipped], -0.2, 0.2)
    for number, track in tracks.items():
        soundfile.write(folder / f"{number}.wav", track.T, 44100, "FLOAT")
    assert batch(folder.parent, tmp_path / "out", RestoreOptions(device="cpu"), album=True).counts == {
        "restored": 2
    }
    for number, track in tracks.items():
        out = read(tmp_path / "out" / "album" / f"{number}.wav")
        assert (np.abs(out).max() > 1.05 * np.abs(track).max()) == (number == clipped)


def test_an_album_is_restored_whole_or_not_at_all(album, tmp_path, batch):
    (album / "9b.wav").write_text("no audio")
    recorder = batch(album.parent, tmp_path / "out", KNOWN, album=True)
    assert recorder.counts == {"failed": 5}
    assert "9b.wav" in recorder.outcomes["album/8.wav"].failure.message
    assert not (tmp_path / "out" / "album").exists()


def test_an_album_is_resumed_as_a_whole(album, tmp_path, batch):
    out = tmp_path / "out"
    batch(album.parent, out, KNOWN, album=True)
    assert batch(album.parent, out, KNOWN, album=True, resume=True).counts == {"skipped": 4}
    (out / "album" / "9.wav").unlink()
    assert batch(album.parent, out, KNOWN, album=True, resume=True).counts == {"restored": 4}
    soundfile.write(album / "12.wav", read(album / "8.wav").T, 44100, "FLOAT")
    assert batch(album.parent, out, KNOWN, album=True, resume=True).counts == {"restored": 5}
    assert {path.name for path in out.iterdir()} == {"album", LEDGER_NAME}


def test_a_dry_run_of_an_album_writes_nothing(album, tmp_path, batch):
    assert batch(album.parent, tmp_path / "out", KNOWN, album=True, dry_run=True).counts == {"planned": 4}
    assert not (tmp_path / "out").exists()


def test_a_joined_source_reads_like_one_recording(album, tmp_path):
    infos = []
    for number in range(8, 12):
        with open_audio(album / f"{number}.wav") as audio:
            infos.append(audio.info)
    whole = read(tmp_path / "joined.wav")
    source = JoinedSource(infos)
    assert source.info.frames == whole.shape[1]
    reference = ArraySource(whole, 44100)
    for start, stop in ((0, 10), (30_000, 30_600), (99_998, 131_072), (5, 5), (0, 131_072)):
        assert np.array_equal(source.read(start, stop), reference.read(start, stop))
    blocks = list(source.blocks(block_frames=10_000))
    assert [block.shape[1] for block in blocks[:-1]] == [10_000] * 13
    assert np.array_equal(np.concatenate(blocks, axis=1), whole)
    source.close()


def test_streams_are_cut_anywhere():
    samples = np.arange(200.0).reshape(2, 100)
    blocks = iter([samples[:, :7], samples[:, 7:8], samples[:, 8:90], samples[:, 90:]])
    lengths = [1, 6, 30, 50, 13]
    pieces = [np.concatenate(list(stream), axis=1) for stream in cut_stream(blocks, lengths)]
    assert [piece.shape[1] for piece in pieces] == lengths
    assert np.array_equal(np.concatenate(pieces, axis=1), samples)


def test_gains_are_divided_at_the_same_places():
    observers = [GainObserver(), GainObserver()]
    divided = DividedObserver([3, 5], observers)
    gain_db = np.arange(8.0)[np.newaxis]
    for part in (slice(0, 2), slice(2, 6), slice(6, 8)):
        divided.observe(np.zeros((2, 8))[:, part], gain_db[:, part])
    assert [observer.summary().mean_db for observer in observers] == [1.0, 5.0]
