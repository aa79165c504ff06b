"""From a plan to a stream of restored samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from unsquash.analysis.diagnosis import Diagnosis
from unsquash.audio import AudioSource
from unsquash.dsp.profiles import load_profile_set
from unsquash.engines.saved import SavedGainEngine, squashed_again
from unsquash.options import DEFAULT_MODEL, PROFILE_MODEL, RestoreOptions
from unsquash.overlap import GainEngine, GainStage, UnlinkedEngine
from unsquash.parallel import pieces_at_once, threads
from unsquash.plan import (
    Declipping,
    HybridInversion,
    ModelInversion,
    NeuralInversion,
    Plan,
    SavedGain,
    Stage,
)
from unsquash.sidecar import STEP_DB, GainFile, samples_digest
from unsquash.units import FloatArray

if TYPE_CHECKING:
    from unsquash.analysis.identification import Suspects
    from unsquash.nets.delimiter import Delimiter
    from unsquash.nets.gain import GainNet
    from unsquash.nets.profile import ProfileNet

    Network: TypeAlias = GainNet | Delimiter


@dataclass(frozen=True, slots=True, kw_only=True)
class GainSummary:
    """The gain that was applied, in dB, over all samples and channels."""

    mean_db: float
    max_db: float


def network_on(device: str, model: str) -> Network:
    """Load a network onto a device, once for all files that a process restores.

    Raises:
        ModelError: its weights cannot be loaded.
        DeviceError: the device is absent.
    """
    from unsquash.weights import digest_of

    return _network_on(device, model, digest_of(model))


@lru_cache(maxsize=2)
def _network_on(device: str, model: str, _digest: str) -> Network:
    from unsquash.nets.device import resolve_device  # loads torch
    from unsquash.weights import load_net

    return load_net(model).to(resolve_device(device))


def suspects_of(device: str, profile_set: str) -> Suspects:
    """Load what is needed to look for compressors, once for all files that a process restores.

    Raises:
        ModelError: the network's weights cannot be loaded.
        OptionError: there is no such set of profiles.
    """
    from unsquash.analysis.identification import Suspects  # loads torch

    return Suspects(net=_profile_net_on(device), known=load_profile_set(profile_set))


@lru_cache(maxsize=2)
def _profile_net_on(device: str) -> ProfileNet:
    from unsquash.nets.device import resolve_device
    from unsquash.weights import load_profile_net

    return load_profile_net(PROFILE_MODEL).to(resolve_device(device))


def judge_for(net: Network | None, options: RestoreOptions) -> GainNet | None:
    """Return the network that judges the dynamics: the chosen one where it can, else the default's.

    Where the method is not left open, a network that cannot judge needs no judge.

    Raises:
        ModelError: the judge's weights cannot be loaded.
    """
    if net is None:
        return None
    from unsquash.nets.gain import GainNet

    if not isinstance(net, GainNet) and options.method == "auto":
        net = network_on(options.device, DEFAULT_MODEL)
    return net if isinstance(net, GainNet) else None


def check_fits(plan: Plan, audio: AudioSource) -> None:
    """Refuse a saved gain that belongs to another recording.

    Raises:
        OptionError: it does.
        InputError: the gain cannot be read.
    """
    for stage in plan.stages:
        if isinstance(stage, SavedGain):
            GainFile(stage.path).check(audio.info, samples_digest(audio), undo=stage.undo)


def earlier_level_db(plan: Plan, options: RestoreOptions) -> float | None:
    """Return the constant gain that was saved with the gain to apply; None where another level is wanted."""
    for stage in plan.stages:
        is_whole = options.level == "auto" and options.strength == 1.0
        if isinstance(stage, SavedGain) and not stage.undo and is_whole:
            return GainFile(stage.path).record.level_gain_db
    return None


def restored_blocks(
    source: AudioSource,
    plan: Plan,
    diagnosis: Diagnosis,
    options: RestoreOptions,
    net: Network | None,
    start: int,
    stop: int,
    observe: Callable[[FloatArray, FloatArray], None],
) -> Iterator[FloatArray]:
    """Yield the restored samples from `start` to `stop`; `observe` sees each block's gain first.

    The stages run from where their result no longer depends on what came before: the beginning for an
    engine with memory, one context earlier on the same chunk grid for one without. (Declipping counts its
    blocks from there on, which moves what it fills in: mostly by thousandths of a decibel; of a heavily
    clipped recording one sample in a hundred moved by more than 0.14 dB.)
    """
    if not plan.stages:
        yield from source.blocks(start, stop)
        return
    (stage,) = plan.stages
    if isinstance(stage, SavedGain) and stage.undo:
        yield from squashed_again(source, GainFile(stage.path), observe, lambda _is_exact: None)
        return
    engine = _engine(stage, source, diagnosis, net)
    grid = engine.grid
    first = 0
    last = min(source.info.frames, stop + grid.context_samples + grid.crossfade_samples)
    if engine.start() is None:
        first = max(0, (start - grid.context_samples) // grid.core_samples * grid.core_samples)
    position = first

    def trimmed(samples: FloatArray, gain_db: FloatArray) -> None:
        nonlocal position
        keep = slice(max(0, start - position), max(0, stop - position))
        position += samples.shape[1]
        if samples[:, keep].shape[1]:
            observe(samples[:, keep], gain_db[:, keep])

    gain_stage = GainStage(
        engine,
        strength=options.strength,
        max_gain_db=stage.max_gain_db,
        step_db=STEP_DB if isinstance(stage, NeuralInversion | HybridInversion | Declipping) else None,
        at_once=_at_once(net),
        observe=trimmed,
    )
    at = first
    with _side_by_side(net):
        for block in gain_stage.process(source.blocks(first, last)):
            kept = block[:, max(0, start - at) : max(0, stop - at)]
            at += block.shape[1]
            if kept.shape[1]:
                yield kept


def _at_once(net: Network | None) -> int:
    """Return how many chunks to look at side by side; a large network takes them one by one."""
    if net is None:
        return pieces_at_once()
    from unsquash.nets.gain import GainNet  # loads torch

    is_small = isinstance(net, GainNet) and next(net.parameters()).device.type == "cpu"
    return pieces_at_once() if is_small else 1


def _side_by_side(net: Network | None) -> AbstractContextManager[None]:
    """Divide the threads there are among the chunks that are looked at side by side."""
    if net is None:
        return nullcontext()
    from unsquash.nets.device import operations_in  # loads torch

    return operations_in(threads() // _at_once(net))


def _engine(
    stage: Stage,
    source: AudioSource,
    diagnosis: Diagnosis,
    net: Network | None,
) -> GainEngine:
    info = source.info
    if isinstance(stage, ModelInversion):
        from unsquash.engines.model_based import ModelBasedEngine  # loads numba

        return ModelBasedEngine(stage.params, info.sample_rate, info.channels)
    if isinstance(stage, SavedGain):
        return SavedGainEngine(GainFile(stage.path))
    if isinstance(stage, HybridInversion):
        from unsquash.engines.hybrid import HybridEngine

        neural = _linked(stage.neural, _neural_engine(source, diagnosis, net), info.channels)
        return HybridEngine(
            stage.params, stage.share, stage.least_db, neural, info.sample_rate, info.channels
        )
    if isinstance(stage, Declipping):
        from unsquash.engines.declip import DeclipEngine  # loads scipy.fft

        return DeclipEngine(stage.ceilings, info.sample_rate)
    engine = _linked(stage, _neural_engine(source, diagnosis, net), info.channels)
    if not stage.ceilings:
        return engine
    from unsquash.engines.declip import DeclipEngine, SumEngine

    return SumEngine(engine, DeclipEngine(stage.ceilings, info.sample_rate))


def _neural_engine(source: AudioSource, diagnosis: Diagnosis, net: Network | None) -> GainEngine:
    from unsquash.engines.delimiter import DelimiterEngine
    from unsquash.engines.neural import NeuralEngine
    from unsquash.nets.delimiter import Delimiter

    if isinstance(net, Delimiter):
        return DelimiterEngine(net, source)
    hearing = diagnosis.hearing
    if net is None or hearing is None:
        raise RuntimeError("a neural stage was planned without a network or its view of the recording")
    info = source.info
    return NeuralEngine(
        net, info.sample_rate, info.channels, hearing.peak, hearing.conditioning, hearing.amount
    )


def _linked(stage: NeuralInversion, engine: GainEngine, channels: int) -> GainEngine:
    return engine if stage.linked or channels == 1 else UnlinkedEngine(engine)


class GainObserver:
    """Accumulate the summary of a gain curve."""

    def __init__(self) -> None:
        self._sum_db = 0.0
        self._count = 0
        self._max_db = -np.inf

    def observe(self, samples: FloatArray, gain_db: FloatArray) -> None:
        """Take in one block and the gain that was applied to it."""
        self._sum_db += float(gain_db.sum()) * (samples.shape[0] / gain_db.shape[0])
        self._count += samples.size
        self._max_db = max(self._max_db, float(gain_db.max()))

    def summary(self) -> GainSummary:
        """Return the summary of everything observed."""
        return GainSummary(mean_db=self._sum_db / max(1, self._count), max_db=self._max_db)
