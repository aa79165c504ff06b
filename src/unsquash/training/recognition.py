"""Recordings that were met before, recognized by how their level moves."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.fft
import soundfile

from unsquash.errors import AudioReadError
from unsquash.units import Float64Array, FloatArray

AUDIO = {".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav"}
ENVELOPE_HZ = 50
TEMPLATE_S = 15.0
SAME = 0.8
"""Correlation from which two recordings are one. Lossy copies keep 0.95; different music reaches 0.7, and
0.85 where beats are as regular as a single drum. Rather a few too many are left out than one too few."""


class Known:
    """Recordings that were met before, recognized by how their level moves."""

    def __init__(self) -> None:
        self._templates: list[Float64Array] = []
        self._spectra: dict[int, list[npt.NDArray[np.complex128]]] = {}

    def add(self, envelope: Float64Array) -> None:
        """Remember a recording, or any excerpt of it; what never moves is not remembered."""
        wanted = round(TEMPLATE_S * ENVELOPE_HZ)
        start = max(0, (envelope.size - wanted) // 2)
        template = envelope[start : start + wanted]
        template = template - template.mean()
        norm = float(np.sqrt(np.square(template).sum()))
        if template.size == wanted and norm > 0.0:
            self._templates.append(template / norm)

    def holds(self, envelope: Float64Array) -> bool:
        """Return whether an excerpt of this recording was met."""
        wanted = round(TEMPLATE_S * ENVELOPE_HZ)
        if envelope.size < wanted:
            return False
        size = 2 ** int(np.ceil(np.log2(envelope.size + wanted)))
        spectra = self._spectra.setdefault(size, [])
        spectra.extend(scipy.fft.rfft(t, size).conj() for t in self._templates[len(spectra) :])
        lags = envelope.size - wanted + 1
        sums = np.cumsum(np.concatenate([[0.0], envelope]))
        squares = np.cumsum(np.concatenate([[0.0], np.square(envelope)]))
        mean = (sums[wanted:] - sums[:-wanted]) / wanted
        variance = (squares[wanted:] - squares[:-wanted]) / wanted - np.square(mean)
        norms = np.sqrt(np.maximum(variance, 1e-9) * wanted)
        spectrum = scipy.fft.rfft(envelope, size)
        return any(
            float((scipy.fft.irfft(spectrum * one, size)[:lags] / norms).max()) >= SAME for one in spectra
        )


def level_movement(samples: FloatArray, sample_rate: int) -> Float64Array:
    """Return how the level in dB changes from one step of 1 / `ENVELOPE_HZ` s to the next.

    Shape:
        samples: `(T, C)`; result: `(n,)`.
    """
    step = sample_rate // ENVELOPE_HZ
    steps = len(samples) // step
    power = (
        np.square(samples[: steps * step].astype(np.float64).mean(axis=1)).reshape(steps, step).mean(axis=1)
    )
    level_db = 10.0 * np.log10(power + 1e-6 * float(power.max(initial=0.0)) + 1e-12)
    return np.diff(level_db, prepend=level_db[:1])


def recordings(root: Path) -> list[Path]:
    """List all audio files."""
    return sorted(p for p in root.rglob("*") if p.suffix.lower() in AUDIO and p.is_file())


def remember(folder: Path, known: Known, pool: ProcessPoolExecutor) -> None:
    """Remember all recordings of a folder, so that they are left out.

    Raises:
        AudioReadError: There is none.
    """
    movements = list(pool.map(_movement_of, recordings(folder)))
    if not any(movement.size for movement in movements):
        raise AudioReadError(f"no audio in {folder} could be read", hint="Check what --unlike names.")
    for movement in movements:
        if movement.size:
            known.add(movement)


def _movement_of(path: Path) -> Float64Array:
    try:
        return level_movement(*soundfile.read(path, dtype="float32", always_2d=True))
    except (OSError, RuntimeError):
        return np.empty(0)
