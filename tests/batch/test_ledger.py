"""The books, and what crashes do to them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unsquash.audio.atomic import atomic_output, machine_id
from unsquash.batch.identity import Identity, identify, same_content, settings_digest
from unsquash.batch.ledger import Entry, Ledger, output_is_intact
from unsquash.batch.leftovers import remove_leftovers
from unsquash.batch.settings import preflight
from unsquash.errors import OutputError
from unsquash.options import DEFAULT_MODEL, PROFILE_MODEL, Position, RestoreOptions
from unsquash.weights import digest_of


def entry(name="a.wav", **changes):
    values = {
        "output": name,
        "input": "/in/a.wav",
        "identity": Identity(size=1, mtime_ns=2, sha256="3"),
        "settings": "s",
        "model": None,
        "output_sha256": "o",
        "output_size": 4,
        "status": "restored",
        "method": "model",
        "verdict": None,
        "level_gain_db": -1.5,
        "audio_s": 2.0,
        "work_s": 1.0,
        "version": "0",
    }
    return Entry(**{**values, **changes})


def test_what_is_finished_is_known_afterwards(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.start("a.wav")
    ledger.finish(entry())
    ledger.start("b\n\udcff.wav")
    again = Ledger(tmp_path)
    assert again.entries == {"a.wav": entry()}
    assert again.wrote("a.wav")
    assert again.wrote("b\n\udcff.wav")
    assert not again.wrote("c.wav")


def test_the_last_line_counts(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.finish(entry(settings="old"))
    ledger.finish(entry(settings="new"))
    assert Ledger(tmp_path).entries["a.wav"].settings == "new"


def test_a_failure_gives_a_name_back_unless_it_was_written_before(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.start("a.wav")
    ledger.fail("a.wav", "no")
    ledger.finish(entry("b.wav"))
    ledger.start("b.wav")
    ledger.fail("b.wav", "no")
    again = Ledger(tmp_path)
    assert not again.wrote("a.wav")
    assert again.wrote("b.wav")


@pytest.mark.parametrize("kept", [1, 10, 200])
def test_a_torn_line_is_ignored_and_spoils_no_other(tmp_path, kept):
    ledger = Ledger(tmp_path)
    ledger.finish(entry("a.wav"))
    whole = ledger.path.read_bytes()
    ledger.finish(entry("b.wav"))
    ledger.path.write_bytes(ledger.path.read_bytes()[: len(whole) + kept])
    torn = Ledger(tmp_path)
    assert set(torn.entries) == {"a.wav"}
    torn.finish(entry("c.wav"))
    assert set(Ledger(tmp_path).entries) == {"a.wav", "c.wav"}


@pytest.mark.parametrize(
    "junk", [b"[]\n", b"null\n", b'{"event": "finished", "output": "x"}\n', b"\xff\xfe\n"]
)
def test_lines_of_others_are_ignored(tmp_path, junk):
    ledger = Ledger(tmp_path)
    ledger.finish(entry())
    ledger.path.write_bytes(junk + ledger.path.read_bytes() + junk)
    assert set(Ledger(tmp_path).entries) == {"a.wav"}


def test_lines_are_only_ever_added(tmp_path):
    ledger = Ledger(tmp_path)
    seen = b""
    for name in "abc":
        ledger.finish(entry(name))
        now = ledger.path.read_bytes()
        assert now.startswith(seen)
        assert now.count(b"\n") == seen.count(b"\n") + 1
        seen = now


def test_a_ledger_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(OutputError, match="jsonl"):
        Ledger(tmp_path / "absent").start("a.wav")


def test_outputs_are_intact_to_the_byte(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"four")
    good = identify(path)
    known = entry(output_sha256=good.sha256, output_size=4)
    assert output_is_intact(path, known)
    os.utime(path, ns=(0, 0))
    assert output_is_intact(path, known)
    path.write_bytes(b"foul")
    assert not output_is_intact(path, known)
    path.unlink()
    assert not output_is_intact(path, known)


def test_inputs_are_the_same_by_time_or_by_content(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"four")
    known = identify(path)
    os.utime(path, ns=(0, 0))
    assert same_content(path, known)
    path.write_bytes(b"foul")
    assert not same_content(path, known)
    path.write_bytes(b"longer")
    assert not same_content(path, known)
    path.unlink()
    assert not same_content(path, known)


def test_settings_differ_where_outputs_may():
    base = settings_digest(RestoreOptions(method="none"))
    assert base == settings_digest(RestoreOptions(method="none", device="cpu"))
    different = [
        RestoreOptions(method="none", bit_depth="16"),
        RestoreOptions(profile="five/A"),
        RestoreOptions(profile="five/A", settings={"ratio": "2"}),
        RestoreOptions(method="none", start=Position(value=1.0)),
    ]
    assert len({base, *map(settings_digest, different)}) == 5
    assert settings_digest(RestoreOptions(), ["a"]) != settings_digest(RestoreOptions(), ["a", "b"])


class TestLeftovers:
    def test_those_of_the_dead_go_and_those_of_the_living_stay(self, tmp_path):
        process = subprocess.Popen([sys.executable, "-c", ""])
        process.wait()
        sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        try:
            dead = tmp_path / "sub" / f"a.wav.tmp-{process.pid}-{machine_id()}-0123abcd"
            alive = tmp_path / f"b.wav.tmp-{sleeper.pid}-{machine_id()}-0123abcd"
            other = tmp_path / f"c.wav.tmp-{process.pid}.wav"
            dead.parent.mkdir()
            for path in (dead, alive, other):
                path.touch()
            assert remove_leftovers(tmp_path) == 1
            assert not dead.exists()
            assert alive.exists()
            assert other.exists()
        finally:
            sleeper.kill()
            sleeper.wait()

    def test_those_of_another_machine_go_only_when_they_are_old(self, tmp_path):
        path = tmp_path / "a.wav.tmp-4194305-89abcdef-0123abcd"
        path.touch()
        assert remove_leftovers(tmp_path) == 0
        before = time.time() - 2 * 86400
        os.utime(path, (before, before))
        assert remove_leftovers(tmp_path) == 1

    def test_temporary_files_tell_their_machine(self, tmp_path):
        with atomic_output(tmp_path / "a.wav", overwrite=False):
            (path,) = tmp_path.iterdir()
        assert path.name.startswith(f"a.wav.tmp-{os.getpid()}-{machine_id()}-")
        path.touch()
        assert remove_leftovers(tmp_path) == 0

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="start times are known on Linux only")
    def test_a_number_that_was_given_to_another_process_protects_nothing(self, tmp_path):
        path = tmp_path / f"a.wav.tmp-{os.getpid()}-{machine_id()}-0123abcd"
        path.touch()
        assert remove_leftovers(tmp_path) == 0
        before = time.time() - 86400 * 365
        os.utime(path, (before, before))
        assert remove_leftovers(tmp_path) == 1

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="states are known on Linux only")
    def test_one_that_was_killed_and_not_yet_collected_is_dead(self, tmp_path):
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        path = tmp_path / f"a.wav.tmp-{process.pid}-{machine_id()}-0123abcd"
        path.touch()
        process.kill()
        while " Z " not in Path(f"/proc/{process.pid}/stat").read_text():
            time.sleep(0.01)
        assert remove_leftovers(tmp_path) == 1
        process.wait()


def test_another_content_of_a_set_of_profiles_is_another_setting(tmp_path):
    own = tmp_path / "own.csv"
    own.write_text("one")
    before = settings_digest(RestoreOptions(profile_set=str(own)))
    assert settings_digest(RestoreOptions(profile_set=str(own))) == before
    own.write_text("two")
    assert settings_digest(RestoreOptions(profile_set=str(own))) != before
    assert settings_digest(RestoreOptions()) == settings_digest(RestoreOptions(profile_set="published"))


def test_every_network_that_takes_part_is_noted():
    gain, profile = digest_of(DEFAULT_MODEL), digest_of(PROFILE_MODEL)
    assert preflight(RestoreOptions(), album=False) == f"{gain}+{profile}"
    assert preflight(RestoreOptions(method="neural"), album=False) == gain
    assert preflight(RestoreOptions(profile="five/A"), album=False) is None
