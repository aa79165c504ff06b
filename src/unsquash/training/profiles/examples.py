"""Examples for the profile network: recordings made by a compressor, in the two protocols of the literature.

`paper`: a five-second excerpt, its peak at full scale, compressed from rest. `in-situ`: a longer piece
compressed, an excerpt cut out of its middle, so that the compressor's state at its beginning is unknown,
unless some of what came before, the lead, is known too, as where a whole recording is at hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from unsquash.analysis.candidates import candidate_curves_db, stepped
from unsquash.dsp.compressor import CompressorParams, compress
from unsquash.dsp.curve_kernels import Float32Array
from unsquash.dsp.profiles import load_profile, profile_names
from unsquash.errors import AudioReadError
from unsquash.nets.features import Features
from unsquash.nets.profile import EXCERPT_SAMPLES
from unsquash.training.corpus import SAMPLE_RATE, Part, Track, choose, load_corpus
from unsquash.training.mixes import Mixer
from unsquash.training.profiles.priors import Drawn, draw
from unsquash.units import Float64Array

Protocol = Literal["paper", "in-situ"]

QUIETEST_RMS_DB = -30.0
DRAWS = 2000
"""How often a loud enough piece is looked for before there is none."""

LEAD_IN_S = (2.0, 5.0)
"""Between the start of a piece, from rest, and its lead."""

LEAD_S = (3.0, 12.0)
SPEECH_SHARE, PAPER_SHARE, NO_LEAD_SHARE = 0.2, 0.4, 0.25
MONO_SHARE, NOISE_SHARE = 0.6, 0.5
NOISE_SNR_DB = (20.0, 65.0)
PIECE_LOUDER_DB = 8.0
"""How far the loudest place of a piece may be over that of the excerpt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileExample:
    """A recording as the network sees it, and what made it.

    Shape:
        features: `(F, EXCERPT_FRAMES)`; level, lead: as from `stepped`, for the candidates' curves.
    """

    features: npt.NDArray[np.float16]
    level: npt.NDArray[np.float16]
    lead: npt.NDArray[np.float16]
    from_rest: bool
    drawn: Drawn

    @property
    def state_known(self) -> bool:
        """Whether the candidates' curves begin in the right state."""
        return self.from_rest or self.lead.size > 0

    def curves_db(self, candidates: Sequence[CompressorParams]) -> Float32Array:
        """Return the candidates' gains, shape `(K, EXCERPT_FRAMES)`."""
        return candidate_curves_db(self.level, candidates, from_rest=self.from_rest, lead=self.lead)


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """An original and what a compressor made of it.

    Shape:
        original, squashed: `(C, EXCERPT_SAMPLES)`; lead: `(C, m)`, what came before, squashed.
    """

    original: Float64Array
    squashed: Float64Array
    lead: Float64Array
    from_rest: bool


def nothing_drawn(length: int) -> AudioReadError:
    """Return the error of recordings none of which has so many samples that are loud enough."""
    return AudioReadError(
        f"no held-out recording of {length / SAMPLE_RATE:.0f} s is loud enough",
        hint="Hold out more artists, with longer recordings.",
    )


def profile_sets() -> list[list[CompressorParams]]:
    """Return the published sets."""
    names = [name for name in profile_names() if "/" in name]
    return [[load_profile(n) for n in names if n.startswith(s)] for s in ("five/", "thirty/")]


def squash(
    piece: Float64Array, params: CompressorParams, protocol: Protocol, lead_samples: int = 0
) -> Excerpt:
    """Compress a piece and return its last five seconds, with so much of what came before.

    Shape:
        piece: `(C, T)`, exactly an excerpt for `paper`.
    """
    linked = params if params.link != "off" or piece.shape[0] == 1 else _linked(params)
    squashed = piece if params.ratio == 1.0 else compress(piece, SAMPLE_RATE, linked).samples
    return Excerpt(
        original=piece[:, -EXCERPT_SAMPLES:],
        squashed=squashed[:, -EXCERPT_SAMPLES:],
        lead=squashed[:, -EXCERPT_SAMPLES - lead_samples : -EXCERPT_SAMPLES],
        from_rest=protocol == "paper",
    )


def draw_piece(
    mixer: Mixer, rng: np.random.Generator, protocol: Protocol, lead_samples: int = 0
) -> Float64Array:
    """Draw an original loud enough to tell something: an excerpt, or a longer piece for `in-situ`."""
    lead = 0 if protocol == "paper" else int(SAMPLE_RATE * rng.uniform(*LEAD_IN_S)) + lead_samples
    while True:
        piece = mixer.draw(lead + EXCERPT_SAMPLES, rng)
        if rng.random() < MONO_SHARE:
            piece = piece.mean(axis=0, keepdims=True)
        piece = piece / max(float(np.abs(piece).max()), 1e-9)
        if 10.0 * np.log10(np.square(piece[:, lead:]).mean() + 1e-12) >= QUIETEST_RMS_DB:
            return piece if lead == 0 else piece * 10.0 ** (-rng.uniform(0.0, PIECE_LOUDER_DB) / 20.0)


def to_example(excerpt: Excerpt, drawn: Drawn, features: Features) -> ProfileExample:
    """Compute what the network sees."""
    squashed = excerpt.squashed
    peak = max(float(np.abs(squashed).max()), 1e-9)
    samples = torch.from_numpy(np.ascontiguousarray(squashed / peak, dtype=np.float32))
    return ProfileExample(
        features=features(samples[None])[0].numpy().astype(np.float16),
        level=stepped(np.abs(squashed).max(axis=0)).astype(np.float16),
        lead=stepped(np.abs(excerpt.lead).max(axis=0)).astype(np.float16),
        from_rest=excerpt.from_rest,
        drawn=drawn,
    )


def add_noise(excerpt: Excerpt, snr_db: float, rng: np.random.Generator) -> Excerpt:
    """Add white noise, as the published augmentation does."""
    power = float(np.square(excerpt.squashed).mean())
    noise = rng.standard_normal(excerpt.squashed.shape) * np.sqrt(power * 10.0 ** (-snr_db / 10.0))
    return replace(excerpt, squashed=excerpt.squashed + noise)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSource:
    """Where and how examples are made; can be sent to another process."""

    audio: Sequence[Path]
    cache: Path
    validation_artists: tuple[str, ...]
    mel_bands: int
    seed: int
    sets: tuple[tuple[CompressorParams, ...], ...]

    def tracks(self, part: Part) -> list[Track]:
        """Open the tracks of one part of the corpus.

        Raises:
            AudioReadError: There is none.
        """
        return choose(load_corpus(self.audio, self.cache, validation_artists=self.validation_artists), part)

    def generate(self, part: Part, first: int, step: int) -> Iterator[ProfileExample]:
        """Generate examples `first`, `first + step`, …; each depends on the seed and its number only."""
        tracks, features = self.tracks(part), Features(self.mel_bands, SAMPLE_RATE)
        speech = [replace(track, kind="mix") for track in tracks if track.kind == "speech"]
        mixers = [Mixer(tracks), Mixer(speech or tracks)]
        seed = self.seed if part == "train" else self.seed + 1_000_003
        number = first
        while True:
            rng = np.random.default_rng([seed, number])
            mixer = mixers[int(rng.random() < SPEECH_SHARE)]
            yield make_example(mixer, self.sets, features, rng)
            number += step


def make_example(
    mixer: Mixer, sets: Sequence[Sequence[CompressorParams]], features: Features, rng: np.random.Generator
) -> ProfileExample:
    """Draw an original and a compressor, apply it, perhaps add noise."""
    protocol: Protocol = "paper" if rng.random() < PAPER_SHARE else "in-situ"
    led = protocol == "in-situ" and rng.random() >= NO_LEAD_SHARE
    lead_samples = int(SAMPLE_RATE * rng.uniform(*LEAD_S)) if led else 0
    drawn = draw(sets, rng)
    excerpt = squash(draw_piece(mixer, rng, protocol, lead_samples), drawn.truth, protocol, lead_samples)
    if rng.random() < NOISE_SHARE:
        excerpt = add_noise(excerpt, rng.uniform(*NOISE_SNR_DB), rng)
    return to_example(excerpt, drawn, features)


def _linked(params: CompressorParams) -> CompressorParams:
    return replace(params, link="max")
