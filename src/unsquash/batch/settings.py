"""How a batch is run, and what it comes to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from unsquash.batch.tasks import Failure, Outcome
from unsquash.dsp.profiles import load_profile_set
from unsquash.errors import OptionError
from unsquash.options import PROFILE_MODEL, RestoreOptions
from unsquash.pipeline import FileAnalysis
from unsquash.plan import describe_compressor, is_left_open, needs_network


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """How a batch is run; none of it changes what is written.

    Attributes:
        overwrite: replace existing outputs.
        skip_existing: count a file whose output exists as done.
        resume: skip what the ledger knows as finished and is unchanged; redo the rest.
        dry_run: examine and plan only.
        fail_fast: stop at the first failure.
        album: each folder is one album.
        jobs: files at once; None chooses.
    """

    overwrite: bool = False
    skip_existing: bool = False
    resume: bool = False
    dry_run: bool = False
    fail_fast: bool = False
    album: bool = False
    jobs: int | None = None

    def __post_init__(self) -> None:
        if self.jobs is not None and self.jobs < 1:
            raise OptionError(f"{self.jobs} jobs are too few", hint="give at least 1, or auto")
        if self.overwrite and self.skip_existing:
            raise OptionError(
                "existing outputs can be overwritten or skipped, not both",
                hint="give --overwrite or --skip-existing",
            )


@dataclass(slots=True)
class Summary:
    """What a batch came to.

    Attributes:
        counts: outcomes by status.
        last_failure: the last, if there was any.
        squashed: how many files were examined and found squashed.
    """

    counts: Counter[str] = field(default_factory=Counter)
    last_failure: Failure | None = None
    squashed: int = 0

    def take(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.counts[outcome.status] += 1
        self.last_failure = outcome.failure or self.last_failure
        self.squashed += isinstance(outcome.report, FileAnalysis) and outcome.report.squashed

    @property
    def failures(self) -> int:
        """How many files failed."""
        return self.counts["failed"]

    @property
    def files(self) -> int:
        """How many files there were."""
        return self.counts.total()


def preflight(options: RestoreOptions, *, album: bool) -> str | None:
    """Refuse what could not work on any file; return the digests of the networks' weights.

    Raises:
        OptionError: the options contradict each other, or describe no compressor.
        ModelError: the weights cannot be used.
    """
    parts = (options.start, options.end, options.preview)
    if album and any(part is not None for part in parts):
        raise OptionError(
            "a part of an album cannot be restored", hint="leave --start, --end and --preview out"
        )
    if album and (options.input_format is not None or options.apply_gain is not None):
        raise OptionError("headerless samples and saved gains are for single files", hint="leave --album out")
    if options.profile is not None or options.settings:
        describe_compressor(options.profile, options.settings, options.link)
    load_profile_set(options.profile_set)  # one that cannot be read is refused, needed or not
    if not needs_network(options):
        return None
    from unsquash.weights import digest_of, find_entry, obtain

    networks = [options.model]
    if is_left_open(options):
        networks.append(PROFILE_MODEL)
    for name in networks:
        if not name.endswith(".safetensors"):
            obtain(find_entry(name))  # fetched once, not by every worker
    return "+".join(map(digest_of, networks))


def runs_on_gpu(options: RestoreOptions) -> bool:
    """Return whether a network is needed and would not run on the CPU.

    Raises:
        DeviceError: the device that was asked for is absent.
    """
    if not needs_network(options) or options.device == "cpu":
        return False
    from unsquash.nets.device import resolve_device  # loads torch

    return resolve_device(options.device).type != "cpu"
