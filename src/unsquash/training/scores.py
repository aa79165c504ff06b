"""Render scores to music that nobody ever squashed: `python -m unsquash.training.scores MIDI --out DIR`.

Real recordings under open licences are few, and a network soon knows them by heart. Every MIDI file is
rendered several times by fluidsynth, each time in another key, tempo, orchestration, balance and room, so
that no two are alike. `OUT` becomes a folder of training audio with a catalogue of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mido
import numpy as np
import soundfile

from unsquash.audio import check_target
from unsquash.errors import InputError, OptionError
from unsquash.training.commands import positive_int, run
from unsquash.training.corpus import CATALOG, COLUMNS, SAMPLE_RATE, write_catalog, write_recording
from unsquash.units import Float64Array

SUFFIXES = {".mid", ".midi"}
DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    mido.KeySignatureError,
)
"""What mido raises at files that are no scores."""

LONGEST_S = 120
SHORTEST_S = 20
PATIENCE_S = 120
DRUMS = 9
"""The channel of percussion, counted from zero."""

VOLUME, PAN, SILENCE = 7, 10, 120
TICKS_PER_S = 960
FAMILY, MUSICAL = 8, 104
"""Programs of one family; the first programs, which are instruments and not noises."""


def varied(score: mido.MidiFile, rng: np.random.Generator) -> mido.MidiFile:
    """Arrange the beginning of a score anew: key, tempo, instruments, balance, touch, and who plays."""
    transposition = int(rng.integers(-6, 7))
    tempo = float(np.exp(rng.uniform(np.log(0.75), np.log(1.35))))
    touch = float(np.exp(rng.uniform(np.log(0.5), np.log(2.0))))
    mutes = rng.random(16) < 0.15
    balance = 10.0 ** (rng.uniform(-12.0, 3.0, 16) / 20.0)
    ways, within, anywhere = rng.random(16), rng.integers(0, FAMILY, 16), rng.integers(0, MUSICAL, 16)

    def program(channel: int, written: int) -> int:
        if channel == DRUMS or ways[channel] < 0.35:
            return written
        return int(written // FAMILY * FAMILY + within[channel] if ways[channel] < 0.8 else anywhere[channel])

    def arranged(message: mido.Message) -> mido.Message:
        channel = message.channel
        if message.type in ("note_on", "note_off"):
            note = message.note + (0 if channel == DRUMS else transposition)
            velocity = 0
            if message.velocity and not mutes[channel]:
                velocity = round(127 * (message.velocity / 127) ** touch)
            return message.copy(note=min(127, max(0, note)), velocity=min(127, max(0, velocity)))
        if message.type == "program_change":
            return message.copy(program=program(channel, message.program))
        if message.is_cc(VOLUME):
            return message.copy(value=min(127, int(message.value * balance[channel])))
        return message

    track = mido.MidiTrack()
    for channel in range(16):
        volume, pan = int(min(127, 100 * balance[channel])), int(rng.integers(20, 108))
        track.append(mido.Message("control_change", channel=channel, control=VOLUME, value=volume))
        track.append(mido.Message("control_change", channel=channel, control=PAN, value=pan))
        track.append(mido.Message("program_change", channel=channel, program=program(channel, 0)))
    time_s, ticks = 0.0, 0
    for message in score:  # merged, times in seconds
        time_s += message.time / tempo
        if time_s > LONGEST_S:
            break
        if hasattr(message, "channel"):
            now = round(time_s * TICKS_PER_S)
            track.append(arranged(message).copy(time=now - ticks))
            ticks = now
    for channel in range(16):  # fluidsynth plays on until nothing sounds
        track.append(mido.Message("control_change", channel=channel, control=SILENCE, value=0))
    return mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_S // 2, tracks=[track])  # 120 beats a minute


def render(score: mido.MidiFile, soundfont: Path, rng: np.random.Generator) -> Float64Array:
    """Play a score in a room of random size.

    Shape:
        result: `(T, 2)`, peak at ±0.98; empty if nothing sounds, or it cannot be played.

    Raises:
        OptionError: fluidsynth is missing.
    """
    settings = {
        "synth.gain": 0.2,
        "synth.reverb.active": int(rng.random() < 0.8),
        "synth.reverb.level": round(float(rng.uniform(0.1, 0.9)), 3),
        "synth.reverb.room-size": round(float(rng.uniform(0.1, 0.9)), 3),
        "synth.chorus.active": int(rng.random() < 0.5),
    }
    with tempfile.TemporaryDirectory() as name:
        written, played = Path(name) / "score.mid", Path(name) / "played.wav"
        score.save(written)
        command = ["fluidsynth", "-ni", "-q", "-r", str(SAMPLE_RATE), "-O", "float", "-T", "wav"]
        command += [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]
        command += ["-F", str(played), str(soundfont), str(written)]
        try:
            subprocess.run(  # noqa: S603
                command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE_S
            )
        except subprocess.SubprocessError:
            return np.empty((0, 2))
        except OSError as error:
            raise OptionError(f"fluidsynth cannot be run: {error}", hint="Debian: fluidsynth") from error
        samples, _ = soundfile.read(played, always_2d=True)
    peak = float(np.abs(samples).max(initial=0.0))
    return np.asarray(samples * (0.98 / peak) if peak > 1e-4 else samples[:0])


def render_all(midi: Path, out: Path, soundfonts: Sequence[Path], *, variants: int, seed: int) -> int:
    """Render every MIDI file of a folder several times; returns how many came out.

    The catalogue grows with every piece, so that what an interrupted run leaves can be used.

    Raises:
        OptionError: There is no MIDI file, or no sound font.
        InputError: Nothing could be played.
        OutputError: Nothing can be written.
    """
    scores = sorted(path for path in midi.glob("*") if path.suffix.lower() in SUFFIXES)
    if not scores or not soundfonts:
        raise OptionError("nothing to render", hint="name a folder of .mid files and at least one sound font")
    for soundfont in soundfonts:
        if not soundfont.is_file():
            raise OptionError(f"there is no sound font {soundfont}", hint="Debian: fluid-soundfont-gm")
    out.mkdir(parents=True, exist_ok=True)
    check_target(out / CATALOG, overwrite=True)

    def make(number: int) -> list[str] | None:
        rng = np.random.default_rng([seed, number])
        path = scores[number % len(scores)]
        try:
            score = varied(mido.MidiFile(path, clip=True), rng)
        except DAMAGED:
            return None  # not a score
        samples = render(score, soundfonts[int(rng.integers(len(soundfonts)))], rng)
        if len(samples) < SHORTEST_S * SAMPLE_RATE:
            return None
        file = f"{path.stem if path.suffix == '.mid' else path.name}-{number // len(scores)}.flac"
        write_recording(out / file, samples, SAMPLE_RATE)
        return [file, "score", "train", midi.resolve().name, "see the scores", ""]

    rows: list[list[str]] = []
    with ThreadPoolExecutor(2) as pool:
        for row in pool.map(make, range(variants * len(scores))):
            if row is not None:
                rows.append(row)
                write_catalog(out / CATALOG, [dict(zip(COLUMNS, row, strict=True)) for row in rows], COLUMNS)
    if not rows:
        raise InputError(
            f"none of {len(scores)} scores could be played for {SHORTEST_S} s", hint="Is it a sound font?"
        )
    return len(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m unsquash.training.scores", description=__doc__)
    parser.add_argument("midi", type=Path, help="folder of .mid files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--soundfont", type=Path, nargs="+", required=True)
    parser.add_argument("--variants", type=positive_int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    count = render_all(
        options.midi, options.out, options.soundfont, variants=options.variants, seed=options.seed
    )
    print(f"{count} pieces in {options.out}")


if __name__ == "__main__":
    run(main)
