"""Real programs in the simulator: lossy codecs of libsndfile and dynamics plug-ins through ffmpeg."""

from __future__ import annotations

import functools
import io
import subprocess
from collections.abc import Callable

import numpy as np
import scipy.signal
import soundfile

from unsquash.training.corpus import SAMPLE_RATE
from unsquash.units import Float64Array

Graphs = dict[str, Callable[[np.random.Generator], str]]
"""ffmpeg filter graphs with random settings, by name."""


def coded(signal: Float64Array, sample_rate: int, rng: np.random.Generator) -> Float64Array:
    """Code and decode with MP3 or Vorbis at a random quality; the codec's delay is removed.

    Shape:
        signal, result: `(C, T)`.
    """
    container, subtype = [("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS")][int(rng.integers(2))]
    buffer = io.BytesIO()
    quality = {"compression_level": float(rng.uniform(0.1, 0.8))}
    peak = max(1.0, float(np.abs(signal).max()))
    soundfile.write(buffer, signal.T / peak, sample_rate, format=container, subtype=subtype, **quality)
    buffer.seek(0)
    decoded, _ = soundfile.read(buffer, dtype="float64", always_2d=True)
    return peak * aligned(signal, decoded.T)


def aligned(reference: Float64Array, delayed: Float64Array) -> Float64Array:
    """Shift `delayed` to where it correlates best with `reference`; same length as `reference`.

    Shape:
        reference, result: `(C, T)`; delayed: `(C, T')`.
    """
    span = min(reference.shape[1], delayed.shape[1], 1 << 18)
    correlation = scipy.signal.fftconvolve(
        delayed[:, :span].mean(axis=0), reference[:, :span].mean(axis=0)[::-1]
    )
    lag = int(np.argmax(np.abs(correlation[span - 1 :])))
    result = np.zeros_like(reference)
    shifted = delayed[:, lag : lag + reference.shape[1]]
    result[:, : shifted.shape[1]] = shifted
    return result


def limiter_plugin(signal: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Drive the signal into a real limiter with random settings.

    Shape:
        signal, result: `(2, T)`.
    """
    return _plugin(signal, rng, _LIMITERS)


def compressor_plugin(signal: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Drive the signal into a real compressor with random settings.

    Shape:
        signal, result: `(2, T)`.
    """
    return _plugin(signal, rng, _COMPRESSORS)


def _plugin(signal: Float64Array, rng: np.random.Generator, graphs: Graphs) -> Float64Array:
    names = [name for name in graphs if name in available_plugins()]
    name = names[int(rng.integers(len(names)))]
    rms = float(np.sqrt(np.square(signal).mean())) + 1e-9
    driven = signal * (10.0 ** (rng.uniform(-18.0, -2.0) / 20.0) / rms)
    return aligned(driven, _ffmpeg(graphs[name](rng), driven))


@functools.cache
def available_plugins() -> tuple[str, ...]:
    """Find which plug-ins work on this machine, by running each once."""
    probe = 0.1 * np.random.default_rng(0).standard_normal((2, 4096))
    found = []
    for name, graph in (_LIMITERS | _COMPRESSORS).items():
        try:
            _ffmpeg(graph(np.random.default_rng(0)), probe)
        except (FileNotFoundError, subprocess.CalledProcessError):
            continue
        found.append(name)
    return tuple(found)


def _ffmpeg(graph: str, signal: Float64Array) -> Float64Array:
    raw = ["-f", "f32le", "-ar", str(SAMPLE_RATE), "-ac", "2"]
    command = ["ffmpeg", "-v", "error", "-threads", "1", *raw, "-i", "-", "-af", graph, *raw, "-"]
    data = np.ascontiguousarray(signal.T).astype("<f4").tobytes()
    output = subprocess.run(  # noqa: S603
        command,
        input=data,
        capture_output=True,
        check=True,
        process_group=0,  # the interrupt of a terminal is not for it
    ).stdout
    return np.frombuffer(output, "<f4").reshape(-1, 2).T.astype(np.float64)


def _alimiter(rng: np.random.Generator) -> str:
    attack, release = rng.uniform(1.0, 10.0), 10.0 ** rng.uniform(1.0, 2.7)
    return f"alimiter=limit={rng.uniform(0.6, 0.99)}:attack={attack}:release={release}:level=0"


def _calf_limiter(rng: np.random.Generator) -> str:
    return f"volume={rng.uniform(-2.0, 2.0)}dB,lv2=p=http\\\\://calf.sourceforge.net/plugins/Limiter"


def _acompressor(rng: np.random.Generator) -> str:
    threshold, ratio = 10.0 ** rng.uniform(-1.6, -0.3), rng.uniform(1.5, 12.0)
    attack, release = 10.0 ** rng.uniform(0.0, 2.0), 10.0 ** rng.uniform(1.3, 2.8)
    knee = rng.uniform(1.0, 6.0)
    return f"acompressor=threshold={threshold}:ratio={ratio}:attack={attack}:release={release}:knee={knee}"


def _sc4(rng: np.random.Generator) -> str:
    settings = [
        rng.uniform(0.0, 1.0),
        10.0 ** rng.uniform(0.2, 2.0),
        10.0 ** rng.uniform(1.3, 2.8),
        rng.uniform(-28.0, -6.0),
        rng.uniform(1.5, 12.0),
        rng.uniform(1.0, 8.0),
        0.0,
    ]
    controls = "|".join(f"c{index}={value}" for index, value in enumerate(settings))
    return f"ladspa=f=sc4_1882:p=sc4:c={controls}"


_LIMITERS: Graphs = {"alimiter": _alimiter, "calf-limiter": _calf_limiter}
_COMPRESSORS: Graphs = {"acompressor": _acompressor, "sc4": _sc4}
PLUGINS = (*_LIMITERS, *_COMPRESSORS)
