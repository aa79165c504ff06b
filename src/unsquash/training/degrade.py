"""The squashing of records, simulated: original in; squashed and the gain that was applied out.

A chain is one to four stages in the order of mastering (compressor, multiband, limiter or clipper), then a
final level, 16-bit rounding or lossy coding. Where every stage multiplies by a gain the true gain is exact to
the sample; where crossovers, oversampling or real plug-ins come in it is the best fit (`fitted_gain`): the
least-squares factor between both signals under a sliding 5.8 ms window. Coding is not part of the gain, nor
is a hard clipper at the end of the chain: flat tops are mended sample by sample, not by a smooth gain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.ndimage

from unsquash.dsp.compressor import compress
from unsquash.dsp.profiles import load_profile_set
from unsquash.training import codecs, processors
from unsquash.training.corpus import SAMPLE_RATE
from unsquash.units import Float64Array

Kind = Literal["none", "limited", "compressed"]
Stage = Callable[[Float64Array, np.random.Generator], Float64Array]

FIT_SAMPLES = 256

UNTOUCHED_SHARE = 0.12

NOISE_SHARE = 0.12
"""Of the excerpts, that noise is added to after squashing: it hides what the original's own noise tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A squashed excerpt with its truth.

    Shape:
        original, squashed: `(2, T)`, aligned; `gain`: `(2, T)`, linear, such that squashed ≈ constant ·
        gain · original.
    """

    original: Float64Array
    squashed: Float64Array
    gain: Float64Array
    kind: Kind
    chain: tuple[str, ...]


def degrade(
    original: Float64Array,
    rng: np.random.Generator,
    *,
    plugin_share: float = 0.06,
    untouched_share: float = UNTOUCHED_SHARE,
) -> Example:
    """Squash an excerpt as a record might have been squashed, or leave it alone.

    Args:
        original: shape `(2, T)`, peak at ±1.
        rng: what to draw from.
        plugin_share: of the excerpts, that real plug-ins squash.
        untouched_share: of the excerpts, that are left alone.
    """
    names = _draw_chain(rng, plugin_share, untouched_share)
    signal, gain = original, np.ones_like(original)
    spread = {"limited": 0.0, "compressed": 0.0}
    for position, name in enumerate(names, start=1):
        output = STAGES[name](signal, rng)
        step = _gain_between(signal, output, exact=name in EXACT)
        kind_of_stage = "limited" if name in PEAK_STAGES else "compressed"
        spread[kind_of_stage] += reduction_deviation_db(original, step)
        signal = output
        if (position, name) != (len(names), "hard clip"):
            gain = gain * step
    total = reduction_deviation_db(original, gain)
    kind: Kind = "none"
    if names and total >= NOTICEABLE_DB:
        kind = "limited" if spread["limited"] >= spread["compressed"] else "compressed"
    squashed = _finish(signal, rng)
    return Example(original=original, squashed=squashed, gain=gain, kind=kind, chain=names)


def squash_by_profile(original: Float64Array, rng: np.random.Generator) -> Example:
    """Squash an excerpt by one of the published compressors, some of which leave little of its dynamics.

    Shape:
        original: `(2, T)`, peak at ±1.
    """
    profiles = load_profile_set("published")
    name = list(profiles)[int(rng.integers(len(profiles)))]
    squashed = compress(original * 10.0 ** (rng.uniform(-6.0, 0.0) / 20.0), SAMPLE_RATE, profiles[name])
    moved = reduction_deviation_db(original, squashed.gain) >= NOTICEABLE_DB
    return Example(
        original=original,
        squashed=_finish(squashed.samples, rng),
        gain=np.broadcast_to(squashed.gain, original.shape),
        kind="compressed" if moved else "none",
        chain=(name,),
    )


NOTICEABLE_DB = 0.15
"""Energy-weighted deviation of the gain under which nothing was done: about 35 dB of SI-SDR."""


def reduction_deviation_db(original: Float64Array, gain: Float64Array) -> float:
    """Compute how far the gain strays from its mean, weighted with the original's energy, in dB."""
    weight = np.square(original[:, ::16])
    reduction_db = 20.0 * np.log10(np.maximum(gain[:, ::16], 1e-4))
    total = max(float(weight.sum()), 1e-30)  # of clicks all samples that are looked at may be silent
    mean = (weight * reduction_db).sum() / total
    return float(np.sqrt((weight * np.square(reduction_db - mean)).sum() / total))


def fitted_gain(before: Float64Array, after: Float64Array) -> Float64Array:
    """Fit the factor from `before` to `after` by least squares under a sliding window.

    Shape:
        before, after, result: `(C, T)`.
    """
    products = np.stack([before * after, before * before])
    for _ in range(2):
        products = scipy.ndimage.uniform_filter1d(products, FIT_SAMPLES // 2, axis=-1, mode="nearest")
    floor = 1e-9 * float(products[1].max()) + 1e-20
    return np.asarray(np.clip((products[0] + floor) / (products[1] + floor), 1e-3, 1e3))


def _gain_between(before: Float64Array, after: Float64Array, *, exact: bool) -> Float64Array:
    if not exact:
        return fitted_gain(before, after)
    audible = np.abs(before) > 1e-7
    gain = np.divide(after, before, out=np.ones_like(before), where=audible)
    if not audible.all():
        gain = np.where(audible, gain, fitted_gain(before, after))
    return gain


def _draw_chain(rng: np.random.Generator, plugin_share: float, untouched_share: float) -> tuple[str, ...]:
    kind = rng.random()
    if kind < untouched_share:
        return ()
    if kind < untouched_share + plugin_share:
        return (str(rng.choice(["limiter plugin", "compressor plugin"])),)
    names = []
    if rng.random() < 0.42:
        names.append(str(rng.choice(["compressor", "compressor", "seven"])))
    if rng.random() < 0.05:
        names.append("multiband")
    if rng.random() < 0.62 or not names:
        names.append(str(rng.choice(["limiter"] * 6 + ["peak compressor", "soft clip", "hard clip"])))
        if rng.random() < 0.2:
            names.append(str(rng.choice(["limiter", "soft clip", "hard clip"])))
    return tuple(names)


def _finish(signal: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Bring to a final level, then round to 16 bits, code with losses, or leave as it is."""
    level = 10.0 ** (-(rng.exponential(2.0) if rng.random() < 0.7 else rng.uniform(0.0, 20.0)) / 20.0)
    if rng.random() < NOISE_SHARE:
        noise_db = rng.uniform(-100.0, -70.0)
        signal = signal + np.abs(signal).max() * 10.0 ** (noise_db / 20.0) * rng.standard_normal(signal.shape)
    signal = signal * (level / np.abs(signal).max())
    way = rng.random()
    if way < 0.05:
        return codecs.coded(signal, SAMPLE_RATE, rng)
    if way < 0.6:
        return np.asarray(np.round(signal * 32767.0) / 32767.0)
    return signal


STAGES: dict[str, Stage] = {
    "limiter": processors.limiter,
    "compressor": processors.compressor,
    "peak compressor": processors.peak_compressor,
    "seven": processors.seven_parameter,
    "multiband": processors.multiband,
    "soft clip": processors.soft_clip,
    "hard clip": processors.hard_clip,
    "limiter plugin": codecs.limiter_plugin,
    "compressor plugin": codecs.compressor_plugin,
}
EXACT = frozenset({"limiter", "compressor", "peak compressor", "seven", "hard clip"})
PEAK_STAGES = frozenset({"limiter", "peak compressor", "soft clip", "hard clip", "limiter plugin"})
