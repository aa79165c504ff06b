"""Batches in this process: what is done, refused, skipped, redone."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
import soundfile
import torch
import typer
from conftest import Recorder, write_noise

from unsquash import pipeline
from unsquash.audio.atomic import machine_id
from unsquash.batch.events import Started
from unsquash.batch.ledger import LEDGER_NAME, Ledger
from unsquash.batch.names import Naming
from unsquash.batch.settings import BatchOptions
from unsquash.cli.exits import FAILED, exit_codes
from unsquash.errors import ModelError, OptionError, OutputExistsError
from unsquash.options import RestoreOptions, parse_position

NAMES = {"0.wav", "2.wav", "4.wav", "b/1.wav", "b/3.wav", "b/5.wav"}

OUT_OF_MEMORY = [
    (MemoryError(), "--jobs"),
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), "--device cpu"),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."), "--jobs"),
]


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def numbers(folder: Path) -> dict[str, tuple[int, int]]:
    """What tells whether a file was written anew."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*.wav")
    }


@pytest.fixture
def done(music, tmp_path, batch):
    """The output folder of a batch that went well."""
    out = tmp_path / "out"
    batch(music, out)
    return out


def test_every_file_is_restored_into_the_mirrored_tree(music, tmp_path, batch):
    out = tmp_path / "not" / "yet" / "there"
    recorder = batch(music, out)
    assert files(out) == NAMES | {LEDGER_NAME}
    assert recorder.counts == {"unchanged": 6}
    for name in NAMES:
        assert (out / name).read_bytes() == (music / name).read_bytes()
    entries = Ledger(out).entries
    assert set(entries) == NAMES
    assert entries["b/1.wav"].method == "none"
    assert entries["b/1.wav"].audio_s == pytest.approx(0.1)


def test_existing_outputs_count_as_failures_and_are_not_touched(music, tmp_path, batch):
    out = tmp_path / "out"
    out.mkdir()
    (out / "2.wav").write_bytes(b"precious")
    recorder = batch(music, out)
    assert recorder.counts == {"unchanged": 5, "failed": 1}
    assert recorder.outcomes["2.wav"].failure.kind == OutputExistsError.__name__
    assert (out / "2.wav").read_bytes() == b"precious"
    assert batch(music, out, resume=True).statuses["2.wav"] == "failed"
    assert (out / "2.wav").read_bytes() == b"precious"


def test_existing_outputs_are_skipped_or_overwritten_on_request(music, tmp_path, batch):
    out = tmp_path / "out"
    out.mkdir()
    (out / "2.wav").write_bytes(b"precious")
    recorder = batch(music, out, skip_existing=True)
    assert recorder.counts == {"unchanged": 5, "skipped": 1}
    assert (out / "2.wav").read_bytes() == b"precious"
    recorder = batch(music, out, overwrite=True)
    assert recorder.counts == {"unchanged": 6}
    assert (out / "2.wav").read_bytes() == (music / "2.wav").read_bytes()


def test_without_resume_our_own_outputs_are_refused_too(music, done, batch):
    assert batch(music, done).counts == {"failed": 6}


class TestResume:
    def test_what_is_finished_is_left(self, music, done, batch):
        before = numbers(done)
        recorder = batch(music, done, resume=True)
        assert recorder.counts == {"skipped": 6}
        assert numbers(done) == before
        assert not [event for event in recorder.events if isinstance(event, Started)]

    def test_a_missing_output_is_redone(self, music, done, batch):
        (done / "b" / "3.wav").unlink()
        assert batch(music, done, resume=True).counts == {"skipped": 5, "unchanged": 1}
        assert (done / "b" / "3.wav").exists()

    @pytest.mark.parametrize("keep_time", [False, True])
    def test_a_damaged_output_is_redone(self, music, done, batch, keep_time):
        path = done / "b" / "3.wav"
        before = path.stat()
        data = bytearray(path.read_bytes())
        data[1000] ^= 1
        path.write_bytes(data)
        if keep_time:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert batch(music, done, resume=True).counts == {"skipped": 5, "unchanged": 1}
        assert path.read_bytes() == (music / "b" / "3.wav").read_bytes()

    def test_a_changed_input_is_redone(self, music, done, batch):
        write_noise(music / "0.wav", seed=99)
        assert batch(music, done, resume=True).counts == {"skipped": 5, "unchanged": 1}
        assert (done / "0.wav").read_bytes() == (music / "0.wav").read_bytes()

    def test_an_input_with_another_time_and_the_same_content_is_left(self, music, done, batch):
        os.utime(music / "0.wav")
        assert batch(music, done, resume=True).counts == {"skipped": 6}

    def test_other_settings_redo_everything(self, music, done, batch):
        options = RestoreOptions(method="none", bit_depth="24")
        recorder = batch(music, done, options, resume=True)
        assert recorder.counts == {"unchanged": 6}
        assert soundfile.info(done / "0.wav").subtype == "PCM_24"

    def test_a_new_input_is_done(self, music, done, batch):
        write_noise(music / "new.wav", seed=7)
        assert batch(music, done, resume=True).counts == {"skipped": 6, "unchanged": 1}

    def test_an_output_without_its_entry_is_ours_if_it_was_begun(self, music, done, batch):
        ledger = done / LEDGER_NAME
        lines = ledger.read_bytes().splitlines(keepends=True)
        ledger.write_bytes(b"".join(lines[:-1]))
        assert batch(music, done, resume=True).counts == {"skipped": 5, "unchanged": 1}

    def test_leftovers_of_a_dead_process_go(self, music, done, batch):
        (done / "b" / f"3.wav.tmp-4194305-{machine_id()}-0123abcd").touch()
        batch(music, done, resume=True)
        assert files(done) == NAMES | {LEDGER_NAME}


class TestFailures:
    def test_one_bad_file_does_not_stop_the_others(self, music, tmp_path, batch):
        (music / "1.wav").write_text("no audio")
        (music / "3.wav").touch()
        recorder = batch(music, tmp_path / "out")
        assert recorder.counts == {"unchanged": 6, "failed": 2}
        assert files(tmp_path / "out") == NAMES | {LEDGER_NAME}

    def test_bad_files_are_found_before_any_work(self, music, tmp_path, batch):
        (music / "b" / "9.wav").write_text("no audio")
        recorder = batch(music, tmp_path / "out", fail_fast=True)
        assert recorder.counts == {"failed": 1}
        assert not (tmp_path / "out").exists()

    def test_fail_fast_stops_at_the_first_failure(self, music, tmp_path, batch, monkeypatch):
        monkeypatch.setattr("unsquash.batch.tasks.restore_file", broken_at("2.wav", pipeline.restore_file))
        recorder = batch(music, tmp_path / "out", fail_fast=True)
        assert recorder.statuses == {"0.wav": "unchanged", "2.wav": "failed"}

    def test_a_fault_in_the_program_is_told_with_its_trace(self, music, tmp_path, batch, monkeypatch):
        monkeypatch.setattr("unsquash.batch.tasks.restore_file", broken_at("2.wav", pipeline.restore_file))
        recorder = batch(music, tmp_path / "out")
        assert recorder.counts == {"unchanged": 5, "failed": 1}
        failure = recorder.outcomes["2.wav"].failure
        assert "ZeroDivisionError" in failure.message
        assert "broken" in failure.trace

    @pytest.mark.parametrize(("error", "hint"), OUT_OF_MEMORY)
    def test_memory_that_runs_out_is_told_with_a_hint(
        self, music, tmp_path, batch, monkeypatch, capsys, error, hint
    ):
        broken = broken_at("2.wav", pipeline.restore_file, error)
        monkeypatch.setattr("unsquash.batch.tasks.restore_file", broken)
        recorder = batch(music, tmp_path / "out")
        assert recorder.counts == {"unchanged": 5, "failed": 1}
        failure = recorder.outcomes["2.wav"].failure
        assert (failure.kind, failure.trace) == ("OutOfMemoryError", "")
        assert hint in failure.hint
        with pytest.raises(typer.Exit) as ended, exit_codes():
            raise error
        assert ended.value.exit_code == FAILED
        assert hint in capsys.readouterr().err

    def test_an_input_that_vanishes_fails(self, music, tmp_path, batch):
        class Vanish(Recorder):
            def __call__(self, event):
                super().__call__(event)
                if isinstance(event, Started) and event.unit.jobs[0].name == "2.wav":
                    event.unit.jobs[0].source.unlink()

        recorder = batch(music, tmp_path / "out", listener=Vanish())
        assert recorder.counts == {"unchanged": 5, "failed": 1}
        assert files(tmp_path / "out") == NAMES - {"2.wav"} | {LEDGER_NAME}

    def test_an_input_that_is_replaced_meanwhile_fails_and_is_redone(
        self, music, tmp_path, batch, monkeypatch
    ):
        def replacing(source, *arguments, **keywords):
            result = pipeline.restore_file(source, *arguments, **keywords)
            if source.name == "2.wav":
                shutil.copy(music / "4.wav", music / "new")
                (music / "new").replace(source)
            return result

        monkeypatch.setattr("unsquash.batch.tasks.restore_file", replacing)
        recorder = batch(music, tmp_path / "out")
        assert recorder.counts == {"unchanged": 5, "failed": 1}
        assert "changed while" in recorder.outcomes["2.wav"].failure.message
        assert files(tmp_path / "out") == NAMES - {"2.wav"} | {LEDGER_NAME}
        monkeypatch.undo()
        assert batch(music, tmp_path / "out", resume=True).counts == {"skipped": 5, "unchanged": 1}
        assert (tmp_path / "out" / "2.wav").read_bytes() == (music / "4.wav").read_bytes()

    def test_a_disk_that_is_full_for_the_ledger_fails_files_and_resumes(
        self, music, tmp_path, batch, monkeypatch
    ):
        write = os.write
        written = 0

        def full(descriptor, data):
            nonlocal written
            written += 1
            if written == 4:
                return write(descriptor, data[:20])
            if written == 5:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(descriptor, data)

        monkeypatch.setattr("unsquash.batch.ledger.os.write", full)
        recorder = batch(music, tmp_path / "out")
        assert recorder.counts["failed"] >= 1
        assert recorder.counts["failed"] + recorder.counts["unchanged"] == 6
        monkeypatch.undo()
        recorder = batch(music, tmp_path / "out", resume=True)
        assert "failed" not in recorder.counts
        assert recorder.counts["unchanged"] >= 1
        assert files(tmp_path / "out") == NAMES | {LEDGER_NAME}

    @pytest.mark.parametrize("fail_fast", [False, True])
    def test_a_ledger_that_cannot_be_written_leaves_nobody_to_wait_for(
        self, music, tmp_path, batch, monkeypatch, fail_fast
    ):
        monkeypatch.setattr("unsquash.batch.pool.wait", None)
        (tmp_path / "out" / LEDGER_NAME).mkdir(parents=True)
        recorder = batch(music, tmp_path / "out", jobs=2, fail_fast=fail_fast)
        assert recorder.counts == {"failed": 1 if fail_fast else 6}

    def test_a_model_that_is_unknown_stops_everything_at_once(self, music, tmp_path, batch):
        with pytest.raises(ModelError):
            batch(music, tmp_path / "out", RestoreOptions(model="nonsense"))
        with pytest.raises(OptionError):
            batch(music, tmp_path / "out", RestoreOptions(profile="nonsense"))
        assert not (tmp_path / "out").exists()


def broken_at(name, restore_file, error=None):
    def broken(source, *arguments, **keywords):
        if source.name == name:
            raise error or ZeroDivisionError("of course")
        return restore_file(source, *arguments, **keywords)

    return broken


def test_a_dry_run_tells_every_output_and_writes_nothing(music, tmp_path, batch):
    naming = Naming(suffix="_r", container="flac")
    options = RestoreOptions(method="none", container="flac")
    recorder = batch(music, tmp_path / "out", options, naming, dry_run=True)
    assert recorder.counts == {"planned": 6}
    report = recorder.outcomes["b/1_r.flac"].report
    assert report.output == str(tmp_path / "out" / "b" / "1_r.flac")
    assert (report.output_format.container, report.plan.method) == ("FLAC", "none")
    assert not (tmp_path / "out").exists()


def test_names_of_every_kind(tmp_path, batch):
    folder = tmp_path / "in"
    names = [
        "two\nlines.wav",
        "caf\u00e9 \u97f3\u697d \U0001f3b5.wav",
        "dots..wav",
        "-n.wav",
        "a" * 251 + ".wav",
        " x .wav",
    ]
    names += ["R.E.M./track.wav", "folder./a.wav", os.fsdecode(b"latin\xe9.wav")]
    for seed, name in enumerate(names):
        write_noise(folder / name, seed)
    recorder = batch(folder, tmp_path / "out")
    assert recorder.counts == {"unchanged": len(names)}
    assert files(tmp_path / "out") == {*names, LEDGER_NAME}
    assert batch(folder, tmp_path / "out", resume=True).counts == {"skipped": len(names)}


def test_a_name_that_gets_too_long_fails_alone(tmp_path, batch):
    write_noise(tmp_path / "in" / ("a" * 251 + ".wav"))
    write_noise(tmp_path / "in" / "b.wav")
    recorder = batch(tmp_path / "in", tmp_path / "out", naming=Naming(suffix="_restored"))
    assert recorder.counts == {"unchanged": 1, "failed": 1}


def test_outputs_beside_their_inputs_are_no_inputs_of_the_next_run(music, batch):
    naming = Naming(suffix="_r")
    assert batch(music, music, naming=naming).counts == {"unchanged": 6}
    assert batch(music, music, naming=naming, resume=True).counts == {"skipped": 6}


@pytest.mark.parametrize("flags", [{"jobs": 0}, {"overwrite": True, "skip_existing": True}])
def test_impossible_settings(flags):
    with pytest.raises(OptionError):
        BatchOptions(**flags)


def test_a_part_of_an_album_is_refused(music, tmp_path, batch):
    with pytest.raises(OptionError, match="album"):
        batch(music, tmp_path / "out", RestoreOptions(method="none", start=parse_position("1")), album=True)
