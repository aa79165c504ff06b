"""From what was found and what was asked to what will be done. The only place that chooses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from unsquash.analysis.diagnosis import Diagnosis
from unsquash.dsp.ceilings import Ceiling
from unsquash.dsp.compressor import CompressorParams
from unsquash.dsp.profiles import load_profile, with_settings
from unsquash.errors import OptionError
from unsquash.options import ESTIMATED_GAIN_CAP_DB, Link, RestoreOptions

HEAVILY_CLIPPED = 3e-3
"""Share of flat samples from which on clipping explains why peaks pile up, and no limiter is assumed. Hard
clipped held-out recordings have at least 0.0033, limiters that also clip a little mostly less than 0.0029."""

SURE_GAIN_CAP_DB = 24.0
"""The most that a compressor's gain may lift which the noise proves, or of which the network hears nearly the
same, where the user does not say otherwise."""

FARTHEST_DB = 90.0
"""The most that the inverse of a compressor that the noise does not prove may lift a steady level; the
inverse itself stops at 120."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInversion:
    """Invert a compressor whose settings are known."""

    params: CompressorParams
    max_gain_db: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuralInversion:
    """Undo the gain that a network estimates, and fill in flat tops, if there are any."""

    model: str
    linked: bool
    max_gain_db: float
    ceilings: tuple[Ceiling, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HybridInversion:
    """Undo what a fitted compressor must have done, by its share, and what a network estimates, by the rest.

    What the compressor did everywhere, `least_db`, is left as it is: the network leaves that, too.
    """

    params: CompressorParams
    share: float
    least_db: float
    neural: NeuralInversion
    max_gain_db: float
    """Of both together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declipping:
    """Fill in flat tops and leave everything else as it is."""

    ceilings: tuple[Ceiling, ...]
    max_gain_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedGain:
    """Apply a gain that was saved, or take it back."""

    path: Path
    undo: bool
    max_gain_db: float | None


Stage: TypeAlias = ModelInversion | NeuralInversion | HybridInversion | Declipping | SavedGain
_METHODS = {
    ModelInversion: "model",
    NeuralInversion: "neural",
    HybridInversion: "hybrid",
    Declipping: "declip",
    SavedGain: "saved",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An ordered list of stages, possibly empty, and why.

    Attributes:
        stages: what to run, in order; empty means: leave the recording alone, bit for bit.
        reasons: sentences for the user.
        warnings: what the user should know before trusting the result.
        method: `model`, `neural`, `hybrid`, `declip`, `saved` or `none`.
    """

    stages: tuple[Stage, ...]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    method: str = field(init=False)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the networks whose estimates are applied."""
        neural = [stage.neural if isinstance(stage, HybridInversion) else stage for stage in self.stages]
        return tuple(stage.model for stage in neural if isinstance(stage, NeuralInversion))

    def __post_init__(self) -> None:
        """Name the method after the first stage."""
        methods = [_METHODS[type(stage)] for stage in self.stages]
        object.__setattr__(self, "method", methods[0] if methods else "none")


def needs_network(options: RestoreOptions) -> bool:
    """Return whether the choice, or the restoration, needs the gain network."""
    is_open = options.apply_gain is None and options.strength > 0.0
    return is_open and _chosen_method(options) in ("auto", "neural")


def is_left_open(options: RestoreOptions) -> bool:
    """Return whether everything is looked for: known compressors, others, and what a network hears."""
    return needs_network(options) and _chosen_method(options) == "auto"


def make_plan(diagnosis: Diagnosis, options: RestoreOptions) -> Plan:
    """Decide what is worth undoing, and how.

    Raises:
        OptionError: the profile or a setting is unknown or out of range.
    """
    if options.apply_gain is not None:
        saved = SavedGain(path=options.apply_gain, undo=options.undo, max_gain_db=options.max_gain_db)
        return _unless_idle(options, Plan(stages=(saved,), reasons=("a saved gain was given",)))
    method = _chosen_method(options)
    if method == "none":
        return Plan(stages=(), reasons=("method 'none' was asked for",))
    if method == "model":
        params = describe_compressor(options.profile, options.settings, options.link)
        stage = ModelInversion(params=params, max_gain_db=options.max_gain_db)
        reason = f"the compressor was given: {options.profile or 'own settings'}"
        return _unless_idle(options, Plan(stages=(stage,), reasons=(reason,)))
    if diagnosis.levels.sample_peak_dbfs is None:
        return Plan(stages=(), reasons=("the recording is silent",))
    cap_db = ESTIMATED_GAIN_CAP_DB if options.max_gain_db is None else options.max_gain_db
    neural = NeuralInversion(
        model=options.model,
        linked=options.link != "off",
        max_gain_db=cap_db,
        ceilings=diagnosis.clipping.ceilings,
    )
    if method == "neural":
        reasons = ("method 'neural' was asked for", *_clipping_reasons(diagnosis))
        return _unless_idle(options, Plan(stages=(neural,), reasons=reasons))
    return _unless_idle(options, _judge(diagnosis, neural, options))


def describe_compressor(
    profile: str | None, settings: Mapping[str, str], link: Link | None
) -> CompressorParams:
    """Return the compressor that a user described.

    A profile, a profile with some settings changed, or settings alone; those name at least threshold and
    ratio and start from an RMS detector of 5/5 ms, attack 10 ms and release 100 ms. Published profiles
    say nothing of channels: those share one gain, by their maximum, unless `link` says otherwise.

    Raises:
        OptionError: the profile or a setting is unknown or out of range, or threshold or ratio is missing.
    """
    if profile is None:
        if missing := {"threshold", "ratio"} - set(settings):
            raise OptionError(
                f"the compressor's {' and '.join(sorted(missing))} is not given",
                hint="write --set threshold=-20,ratio=4 or start from a --profile",
            )
        base = CompressorParams(
            threshold_db=0.0,
            ratio=1.0,
            detector_attack_ms=5.0,
            detector_release_ms=5.0,
            attack_ms=10.0,
            release_ms=100.0,
            link="max",
        )
    else:
        base = load_profile(profile)
        if "/" in profile:
            base = replace(base, link="max")
    params = with_settings(base, settings)
    return params if link is None else replace(params, link=link)


def _chosen_method(options: RestoreOptions) -> str:
    described = options.profile is not None or bool(options.settings)
    return "model" if options.method == "auto" and described else options.method


def _unless_idle(options: RestoreOptions, plan: Plan) -> Plan:
    if options.strength == 0.0 or options.max_gain_db == 0.0:
        return Plan(stages=(), reasons=("a strength or maximal gain of 0 leaves the recording as it is",))
    return plan


def _judge(diagnosis: Diagnosis, neural: NeuralInversion, options: RestoreOptions) -> Plan:
    """Choose neural, declipping alone, or nothing from the diagnosis."""
    dynamics, clipped = diagnosis.dynamics, _clipping_reasons(diagnosis)
    declipping = Declipping(ceilings=neural.ceilings, max_gain_db=neural.max_gain_db)
    if _is_named(diagnosis, neural):
        return _named_plan(diagnosis, options)
    if dynamics is None or dynamics.verdict == "none":
        doubt = "" if dynamics is None else f" (probability {1.0 - dynamics.confidence:.2f})"
        if dynamics is not None and dynamics.is_artificial:
            reasons = (
                *clipped,
                "it sounds like tones, clicks or noise as they were made, not music or speech",
            )
            return Plan(stages=(declipping,) if clipped else (), reasons=reasons)
        if clipped:
            return Plan(stages=(declipping,), reasons=(*clipped, f"no sure sign of other squashing{doubt}"))
        likely = dynamics is not None and dynamics.confidence < 0.5
        remarks = ("it may be squashed all the same; --method neural restores it",) if likely else ()
        return Plan(stages=(), reasons=(f"no sure sign of noticeable squashing{doubt}",), warnings=remarks)
    if clipped and dynamics.verdict == "limited" and diagnosis.clipping.fraction >= HEAVILY_CLIPPED:
        return Plan(stages=(declipping,), reasons=(*clipped, "which explains why it looks limited"))
    if _fits(diagnosis, neural, options):
        return _hybrid_plan(diagnosis, neural, options)
    reason = (
        f"the recording looks {dynamics.verdict} (confidence {dynamics.confidence:.2f}): "
        f"mean gain reduction about {dynamics.mean_gain_reduction_db:.1f} dB"
    )
    return Plan(stages=(neural,), reasons=(reason, *clipped))


def _is_named(diagnosis: Diagnosis, neural: NeuralInversion) -> bool:
    """Return whether a known compressor was surely at work, alone, and can be inverted."""
    found = diagnosis.identification
    if found is None or not neural.linked or neural.ceilings:
        return False
    return found.is_usable


def _named_plan(diagnosis: Diagnosis, options: RestoreOptions) -> Plan:
    found = diagnosis.identification
    if found is None:
        raise RuntimeError("a known compressor was to be inverted that was not found")
    moved = "" if found.offset_db == 0.0 else f", its level changed by {found.offset_db:+.1f} dB since"
    reason = (
        f"it was a known compressor (probability {found.known:.2f}), most likely {found.profile} "
        f"({found.probability:.2f}){moved}"
    )
    stage = ModelInversion(params=found.params, max_gain_db=options.max_gain_db)
    return Plan(stages=(stage,), reasons=(reason,))


def _fits(diagnosis: Diagnosis, neural: NeuralInversion, options: RestoreOptions) -> bool:
    """Return whether a compressor was found that explains enough, and whose inverse cannot run away."""
    fit, peak_dbfs = diagnosis.compressor, diagnosis.levels.sample_peak_dbfs
    if fit is None or peak_dbfs is None or neural.ceilings:
        return False
    if options.link is not None and (options.link == "off") != (fit.params.link == "off"):
        return False
    if diagnosis.dynamics is None or diagnosis.dynamics.verdict != "compressed":
        return False  # a limiter that looks ahead is none of the compressors that are fitted
    farthest_db = (fit.params.ratio - 1.0) * max(0.0, peak_dbfs - fit.params.threshold_db)
    return fit.is_proven or (fit.is_alike and farthest_db <= FARTHEST_DB)


def _hybrid_plan(diagnosis: Diagnosis, neural: NeuralInversion, options: RestoreOptions) -> Plan:
    fit = diagnosis.compressor
    if fit is None:
        raise RuntimeError("a compressor was to be inverted that was not found")
    found = fit.params
    explained, cap_db = f"the gain that is heard (correlation {fit.agreement:.2f})", neural.max_gain_db
    if fit.is_proven:
        explained = "how the noise far below the music moves"
    if options.max_gain_db is None and (fit.is_proven or fit.is_close):
        cap_db = SURE_GAIN_CAP_DB
    apart = ", in each channel on its own," if found.link == "off" else ""
    begun = "" if found.initial_db is None else ", at work before the recording began,"
    weight = "" if fit.share == 1.0 else f", best with a weight of {fit.share:g} beside the network's gain"
    reason = (
        f"a compressor of about {found.ratio:.1f}:1 over {found.threshold_db:.0f} dBFS{apart}{begun} "
        f"explains {explained}{weight}"
    )
    stage = HybridInversion(
        params=found, share=fit.share, least_db=fit.least_db, neural=neural, max_gain_db=cap_db
    )
    return Plan(stages=(stage,), reasons=(reason,))


def _clipping_reasons(diagnosis: Diagnosis) -> tuple[str, ...]:
    clipping = diagnosis.clipping
    if clipping.ceiling_dbfs is None or not clipping.ceilings:
        return ()
    return (f"{clipping.fraction:.2%} of the samples are clipped flat at {clipping.ceiling_dbfs:.1f} dBFS",)
