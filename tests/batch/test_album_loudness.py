"""Fresh loudness fields of an album: one gain for all tracks, and one for each."""

from __future__ import annotations

import mutagen.wave
import numpy as np
import pyloudnorm
import pytest
import soundfile

from unsquash import RestoreOptions

RATE = 44100


@pytest.fixture
def album(tmp_path, song):
    """Three tracks of different loudness, the joined recording among none of them."""
    folder = tmp_path / "music" / "album"
    folder.mkdir(parents=True)
    for number, factor in enumerate((0.1, 0.3, 0.05), 1):
        part = song[:, (number - 1) * 2 * RATE : number * 2 * RATE] * factor
        soundfile.write(folder / f"{number}.wav", part.T, RATE, "PCM_24")
    return folder


def fields(path):
    return {frame.desc: frame.text[0] for frame in mutagen.wave.WAVE(path).tags.getall("TXXX")}


@pytest.mark.parametrize(
    "options",
    [
        RestoreOptions(profile="five/C", replaygain=True),
        RestoreOptions(profile="five/C", replaygain=True, bit_depth="32f"),
        RestoreOptions(method="none", replaygain=True),
    ],
    ids=["peak-safe", "keep", "left alone"],
)
def test_every_track_tells_the_albums_loudness_and_its_own(album, tmp_path, batch, options):
    batch(album.parent, tmp_path / "out", options, album=True)
    outputs = sorted((tmp_path / "out" / "album").glob("*.wav"))
    assert len(outputs) == 3
    sounds = [soundfile.read(path)[0] for path in outputs]
    meter = pyloudnorm.Meter(RATE)
    whole = meter.integrated_loudness(np.concatenate(sounds))
    for path, sound in zip(outputs, sounds, strict=True):
        found = fields(path)
        album_gain, track_gain = (
            float(found[f"REPLAYGAIN_{scope}_GAIN"].removesuffix(" dB")) for scope in ("ALBUM", "TRACK")
        )
        assert album_gain == pytest.approx(-18 - whole, abs=0.02)
        assert track_gain == pytest.approx(-18 - meter.integrated_loudness(sound), abs=0.02)
        assert float(found["REPLAYGAIN_ALBUM_PEAK"]) >= max(np.abs(sound).max() for sound in sounds) - 1e-6
    assert len({fields(path)["REPLAYGAIN_TRACK_GAIN"] for path in outputs}) == 3
