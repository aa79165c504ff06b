"""Examine many files; write nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from unsquash.audio import open_audio
from unsquash.batch.events import Checked, Closed, Finished, Listener, Planned, Progressed, Started
from unsquash.batch.expand import Found
from unsquash.batch.jobs import Job, Unit
from unsquash.batch.pool import WorkerDied, run_units
from unsquash.batch.resources import choose_jobs
from unsquash.batch.settings import Summary, preflight, runs_on_gpu
from unsquash.batch.tasks import Outcome, Progress, analyze_unit, died, failed
from unsquash.errors import UnsquashError
from unsquash.options import RestoreOptions
from unsquash.parallel import cores
from unsquash.pipeline import raw_format
from unsquash.plan import needs_network


def examine_many(
    found: Sequence[Found], options: RestoreOptions, *, jobs: int | None, listener: Listener
) -> Summary:
    """Examine files; one that fails does not disturb the others.

    Args:
        found: the files, from `expand`.
        options: what restore would be asked.
        jobs: files at once; None chooses.
        listener: is told of everything, the findings included.

    Raises:
        OptionError: the options cannot be used on any file.
        ModelError: the network's weights cannot be used.
    """
    summary = Summary()
    preflight(options, album=False)

    def settle(outcome: Outcome) -> None:
        summary.take(outcome)
        listener(Finished(outcome=outcome))

    units = []
    lengths_s: dict[str, float] = {}
    for number, item in enumerate(found, start=1):
        job = Job(name=str(item.path), source=item.path, target=item.path)
        try:
            with open_audio(job.source, raw_format(options)) as audio:
                lengths_s[job.name] = audio.info.duration_s
            units.append(Unit(jobs=(job,)))
        except UnsquashError as error:
            settle(failed(job, error))
        listener(Checked(done=number, total=len(found)))
    if not units:
        listener(Closed(summary=summary, files=len(found)))
        return summary
    at_once = jobs or choose_jobs(len(units), network=needs_network(options), on_gpu=runs_on_gpu(options))
    listener(Planned(lengths_s=lengths_s, jobs=at_once))

    def deliver(unit: Unit, message: Any) -> None:
        if isinstance(message, Progress):
            listener(Progressed(unit=unit, progress=message))
            return
        for outcome in died(unit, message.reason) if isinstance(message, WorkerDied) else message:
            settle(outcome)

    def announced(unit: Unit) -> Unit:
        listener(Started(unit=unit))
        return unit

    run_units(
        map(announced, units),
        partial(analyze_unit, options=replace(options, settings=dict(options.settings))),
        jobs=min(at_once, len(units)),
        threads=max(1, cores() // at_once),
        deliver=deliver,
    )
    listener(Closed(summary=summary, files=len(found)))
    return summary
