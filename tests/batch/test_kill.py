"""Killed at any moment, a batch loses nothing and resumes."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

import unsquash
from unsquash.batch.ledger import LEDGER_NAME, Ledger

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kills process groups, asks /proc"),
]
FILES = 8
MOMENTS = 30
PROFILE = "five/C"


@pytest.fixture(scope="module")
def music(tmp_path_factory, song):
    """Eight squashed recordings of a quarter of a second."""
    folder = tmp_path_factory.mktemp("kill") / "music"
    squashed = unsquash.squash(song, 44100, unsquash.SquashOptions(profile=PROFILE))
    for number in range(FILES):
        path = folder / f"{number % 3}" / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, squashed[:, number * 11000 :][:, :11000].T, 44100, "PCM_24")
    return folder


@pytest.fixture(scope="module")
def zygote(music, tmp_path_factory):
    """Start command lines at once; gives `(Popen, start)`."""
    script = Path(__file__).with_name("zygote.py")
    warm = tmp_path_factory.mktemp("warm") / "warm.wav"
    command = [sys.executable, str(script), str(music / "0" / "0.wav"), str(warm), PROFILE]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"

    def start(*arguments):
        process.stdin.write(json.dumps([str(argument) for argument in arguments]) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    start.ended = lambda: int(process.stdout.readline())
    yield start
    process.stdin.close()
    process.stdout.close()
    process.wait(10)


def restore(music, out, jobs=1):
    return ("restore", music, "-o", out, "--profile", PROFILE, "--resume", "--jobs", jobs)


def outputs(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.wav")}


def written(folder):
    """What tells whether an output was written again."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*.wav")
    }


def lines(folder, event):
    """How many lines of a kind the ledger has."""
    ledger = folder / LEDGER_NAME
    return ledger.read_bytes().count(b'"event": "' + event) if ledger.exists() else 0


def leftovers(folder):
    return [path for path in folder.rglob("*") if ".tmp-" in path.name]


@pytest.fixture(scope="module")
def undisturbed(music, zygote, tmp_path_factory):
    """The outputs of a batch that was left in peace, and how long it took."""
    out = tmp_path_factory.mktemp("peace") / "out"
    began = time.monotonic()
    zygote(*restore(music, out))
    assert zygote.ended() == 0
    took_s = time.monotonic() - began
    assert len(outputs(out)) == FILES
    return outputs(out), took_s


def test_a_batch_killed_at_random_moments_resumes(music, zygote, undisturbed, tmp_path, capsys):
    expected, took_s = undisturbed
    moments = random.Random(6)
    rows = []
    for number in range(MOMENTS):
        out = tmp_path / str(number)
        files, delay_s = moments.randrange(FILES), moments.uniform(0.0, took_s / FILES)
        pid = zygote(*restore(music, out))
        while lines(out, b"finished") < files:
            time.sleep(0.001)
        time.sleep(delay_s)
        with contextlib.suppress(ProcessLookupError):  # it was done before
            os.killpg(pid, signal.SIGKILL)
        code = zygote.ended()
        finished = set(Ledger(out).entries)
        before, torn = written(out), len(leftovers(out))
        zygote(*restore(music, out))
        assert zygote.ended() == 0
        after = written(out)
        redone = {name for name in finished if before[name] != after[name]}
        missing = expected.keys() - outputs(out).keys()
        different = {name for name, data in outputs(out).items() if data != expected[name]}
        rows.append(
            (number, len(finished), torn, len(redone), len(missing), len(different), len(leftovers(out)))
        )
        assert code in (-signal.SIGKILL, 0)
        assert not redone | missing | different
        assert not leftovers(out)
        shutil.rmtree(out)
    title = "moment | finished by then | temp files | redone | missing | different | temp files after"
    table = [" | ".join(map(str, row)) for row in rows]
    with capsys.disabled():
        sys.stdout.write("\n".join(["", title, *table, ""]))
    assert sum(0 < row[1] < FILES for row in rows) >= MOMENTS // 4, "too few moments fell into the work"


@pytest.mark.parametrize("delay_s", [0.0, 0.15])
def test_a_killed_group_of_workers_resumes(music, undisturbed, tmp_path, delay_s):
    expected, _ = undisturbed
    out = tmp_path / "out"
    command = [sys.executable, "-m", "unsquash", *map(str, restore(music, out, jobs=2))]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    while not lines(out, b"finished"):
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(delay_s)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished, before = set(Ledger(out).entries), written(out)
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert outputs(out) == expected
    assert not leftovers(out)
    after = written(out)
    assert all(before[name] == after[name] for name in finished)


def heed_interrupts():
    """Undo what a shell does to the background jobs among which these tests may run."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupt_leaves_no_process_and_no_temporary_file(song, tmp_path, jobs):
    music, out = tmp_path / "music", tmp_path / "out"
    music.mkdir()
    for number in range(12):
        soundfile.write(music / f"{number}.wav", song.T, 44100, "PCM_24")
    command = [sys.executable, "-m", "unsquash", *map(str, restore(music, out, jobs=jobs))]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, start_new_session=True, preexec_fn=heed_interrupts
    )
    while not leftovers(out):
        assert process.poll() is None
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert b"Traceback" not in stderr
    assert not leftovers(out)
    for _ in range(200):  # the last one out is multiprocessing's own helper
        if not members(process.pid):
            break
        time.sleep(0.05)
    assert not members(process.pid)


def members(group):
    """The processes of a group that are not dead."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, number = path.read_text().rpartition(")")[2].split()[:3]
            if int(number) == group and state != "Z":
                found.append(path.parent.name)
    return found


def test_a_worker_that_is_killed_fails_its_file_only(song, tmp_path):
    music, out = tmp_path / "music", tmp_path / "out"
    music.mkdir()
    for number in range(6):
        soundfile.write(music / f"{number}.wav", song.T, 44100, "PCM_24")
    command = [sys.executable, "-m", "unsquash", *map(str, restore(music, out, jobs=2))]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    while not (seen := leftovers(out)):
        assert process.poll() is None
        time.sleep(0.002)
    os.kill(int(seen[0].name.split("-")[-3]), signal.SIGKILL)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 3, stderr
    assert stderr.count(b"died (signal 9)") == 1
    assert b"1 failed, 5 restored" in stderr
    assert not leftovers(out)
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert len(outputs(out)) == 6
