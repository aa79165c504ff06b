"""Run a batch: examine everything first, then restore what is left to do, and keep the books."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import Any

from unsquash.audio import choose_format, open_audio
from unsquash.batch.events import Checked, Closed, Finished, Listener, Planned, Progressed, Remark, Started
from unsquash.batch.identity import same_content, settings_digest, stamp
from unsquash.batch.jobs import Job, Unit, albums
from unsquash.batch.ledger import Entry, Ledger, output_is_intact
from unsquash.batch.leftovers import remove_leftovers
from unsquash.batch.pool import WorkerDied, run_units
from unsquash.batch.resources import affordable_jobs, choose_jobs
from unsquash.batch.settings import BatchOptions, Summary, preflight, runs_on_gpu
from unsquash.batch.tasks import Outcome, Progress, died, failed, make_folder, plan_unit, restore_unit
from unsquash.errors import OutputError, OutputExistsError, UnsquashError
from unsquash.options import RestoreOptions
from unsquash.parallel import cores
from unsquash.pipeline import FileRestoration, raw_format
from unsquash.plan import needs_network


def run_batch(
    jobs: Sequence[Job], ledger: Ledger, options: RestoreOptions, batch: BatchOptions, listener: Listener
) -> Summary:
    """Restore many files; one that fails does not disturb the others.

    Args:
        jobs: what is to be done, from `plan_jobs`.
        ledger: of the output folder.
        options: what is wanted of each file.
        batch: how to go about it.
        listener: is told of everything.

    Raises:
        OptionError: the options cannot be used on any file.
        ModelError: the network's weights cannot be used.
    """
    summary = _Batch(jobs, ledger, options, batch, listener).run()
    listener(Closed(summary=summary, files=len(jobs)))
    return summary


class _Batch:
    def __init__(
        self,
        jobs: Sequence[Job],
        ledger: Ledger,
        options: RestoreOptions,
        batch: BatchOptions,
        listener: Listener,
    ) -> None:
        self.jobs = jobs
        self.options = replace(options, settings=dict(options.settings))  # so that it can be pickled
        self.batch = batch
        self.listener = listener
        self.summary = Summary()
        self.lengths_s: dict[str, float] = {}
        self.stopping = False
        self.model = preflight(options, album=batch.album)
        self.ledger = ledger

    def run(self) -> Summary:
        everything = albums(self.jobs) if self.batch.album else [Unit(jobs=(job,)) for job in self.jobs]
        if not self.batch.dry_run:
            remove_leftovers(self.ledger.folder)
        units = self._valid(self._unfinished(everything))
        if self.stopping or not units:
            return self.summary
        network, on_gpu = needs_network(self.options), runs_on_gpu(self.options)
        jobs = self.batch.jobs or choose_jobs(len(units), network=network, on_gpu=on_gpu)
        affordable = affordable_jobs(network=network)
        if affordable is not None and jobs > affordable:
            self.listener(
                Remark(text=f"memory may not suffice for {jobs} files at once, but for {affordable}")
            )
        self.listener(Planned(lengths_s=self.lengths_s, jobs=jobs))
        task = partial(plan_unit if self.batch.dry_run else restore_unit, options=self.options)
        try:
            run_units(
                self._dispatch(units),
                task,
                jobs=min(jobs, len(units)),
                threads=max(1, cores() // jobs),
                deliver=self._deliver,
            )
        finally:
            if not self.batch.dry_run:
                remove_leftovers(self.ledger.folder)
        return self.summary

    def _unfinished(self, units: Sequence[Unit]) -> list[Unit]:
        """Settle what was done before, and what may not be done; return the rest."""
        finished = self._finished(units) if self.batch.resume else set()
        rest = []
        for unit in units:
            if unit in finished:
                for job in unit.jobs:
                    self._settle(Outcome(job=job, status="skipped", note="finished before"))
            elif self.batch.skip_existing and all(self._is_foreign(job) for job in unit.jobs):
                if self._passes(unit, _require_input):
                    for job in unit.jobs:
                        self._settle(Outcome(job=job, status="skipped", note="the output exists"))
            elif self._passes(unit, self._require_free):
                jobs = (replace(job, overwrite=self._may_overwrite(job)) for job in unit.jobs)
                rest.append(replace(unit, jobs=tuple(jobs)))
        return rest

    def _finished(self, units: Sequence[Unit]) -> set[Unit]:
        """Return the units whose inputs are unchanged and whose outputs are intact."""
        finished = set()
        threads = ThreadPoolExecutor(cores())
        try:
            for number, (unit, is_finished) in enumerate(
                zip(units, threads.map(self._is_finished, units), strict=True), start=1
            ):
                self.listener(Checked(done=number, total=len(units)))
                if is_finished:
                    finished.add(unit)
        finally:
            threads.shutdown(cancel_futures=True)  # an interrupt does not wait for what is left
        return finished

    def _is_finished(self, unit: Unit) -> bool:
        settings = self._settings(unit)
        for job in unit.jobs:
            entry = self.ledger.entries.get(job.name)
            if entry is None or (entry.settings, entry.model) != (settings, self.model):
                return False
            if not (same_content(job.source, entry.identity) and output_is_intact(job.target, entry)):
                return False
        return True

    def _may_overwrite(self, job: Job) -> bool:
        return self.batch.overwrite or (self.batch.resume and self.ledger.wrote(job.name))

    def _is_foreign(self, job: Job) -> bool:
        """Return whether there is an output that may not be replaced."""
        return not self._may_overwrite(job) and os.path.lexists(job.target)

    def _require_free(self, job: Job) -> None:
        if self._is_foreign(job):
            hint = "replace it with --overwrite, leave it with --skip-existing, or go on with --resume"
            raise OutputExistsError(f"'{job.target}' exists", hint=hint)

    def _valid(self, units: Sequence[Unit]) -> list[Unit]:
        """Open every input before any work; return what can be worked on."""
        valid = []
        for number, unit in enumerate(units, start=1):
            if self._passes(unit, self._examine):
                valid.append(unit)
            self.listener(Checked(done=number, total=len(units)))
            if self.stopping:
                break
        return valid

    def _examine(self, job: Job) -> None:
        with open_audio(job.source, raw_format(self.options)) as audio:
            info = audio.info
        choose_format(
            info,
            job.target,
            container=self.options.container,
            bit_depth=self.options.bit_depth,
            frames=info.frames,
        )
        self.lengths_s[job.name] = info.duration_s

    def _passes(self, unit: Unit, check: Callable[[Job], None]) -> bool:
        """Check every job of a unit; one that fails takes the rest of its album along."""
        errors: dict[Job, UnsquashError] = {}
        for job in unit.jobs:
            try:
                check(job)
            except UnsquashError as error:
                errors[job] = error
        if not errors:
            return True
        culprit = next(iter(errors))
        for job in unit.jobs:
            rest = OutputError(
                f"the album was left, because of '{culprit.source.name}'", hint="albums are restored whole"
            )
            self.lengths_s.pop(job.name, None)
            self._settle(failed(job, errors.get(job, rest)))
        return False

    def _dispatch(self, units: Sequence[Unit]) -> Iterator[Unit]:
        for unit in units:
            if self.stopping:
                return
            if not self.batch.dry_run:
                try:
                    make_folder(self.ledger.folder)
                    for job in unit.jobs:
                        self.ledger.start(job.name)
                except OutputError as error:
                    for job in unit.jobs:
                        self._settle(failed(job, error))
                    continue
            self.listener(Started(unit=unit))
            yield unit

    def _deliver(self, unit: Unit, message: Any) -> None:
        if isinstance(message, Progress):
            self.listener(Progressed(unit=unit, progress=message))
            return
        if isinstance(message, WorkerDied):
            message = died(unit, message.reason)
        for outcome in message:
            self._settle(outcome if self.batch.dry_run else self._booked(unit, outcome))

    def _booked(self, unit: Unit, outcome: Outcome) -> Outcome:
        """Enter an outcome into the ledger; without its entry a file does not count as restored."""
        job = outcome.job
        try:
            if outcome.failure is None:
                self.ledger.finish(self._entry(unit, outcome))
            elif outcome.failure.kind == OutputExistsError.__name__ or not os.path.lexists(job.target):
                self.ledger.fail(job.name, outcome.failure.message)
        except OutputError as error:
            return failed(job, error)
        return outcome

    def _entry(self, unit: Unit, outcome: Outcome) -> Entry:
        report, identity = outcome.report, outcome.identity
        if not isinstance(report, FileRestoration) or identity is None:
            raise TypeError("only a restored file can be entered as finished")
        dynamics = report.diagnosis.dynamics
        return Entry(
            output=outcome.job.name,
            input=str(outcome.job.source.absolute()),
            identity=identity,
            settings=self._settings(unit),
            model=self.model,
            output_sha256=outcome.output_sha256,
            output_size=outcome.output_size,
            status=outcome.status,
            method=report.plan.method,
            verdict=None if dynamics is None else dynamics.verdict,
            level_gain_db=report.level_gain_db,
            audio_s=round(report.source.duration_s, 3),
            work_s=round(outcome.work_s, 3),
            version=version("unsquash"),
        )

    def _settings(self, unit: Unit) -> str:
        return settings_digest(self.options, [job.name for job in unit.jobs] if unit.is_album else [])

    def _settle(self, outcome: Outcome) -> None:
        self.summary.take(outcome)
        if outcome.failure is not None:
            self.stopping = self.batch.fail_fast
        self.listener(Finished(outcome=outcome))


def _require_input(job: Job) -> None:
    stamp(job.source)
