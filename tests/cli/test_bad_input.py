"""Bad input: a clear message with a hint, the right exit code, no output, no traceback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

KNOWN = ("--profile", "five/C")
HUGE = 1e39


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with one good and many bad files."""
    root = tmp_path_factory.mktemp("bad")
    rng = np.random.default_rng(0)
    good = 0.3 * rng.standard_normal((22050, 2)).clip(-1, 1)
    soundfile.write(root / "good.wav", good, 44100, "PCM_24")
    soundfile.write(root / "good.flac", good, 44100, "PCM_24")
    (root / "empty.wav").write_bytes(b"")
    (root / "text.wav").write_text("this is not audio\n" * 100)
    (root / "truncated.wav").write_bytes((root / "good.wav").read_bytes()[:40000])
    (root / "truncated.flac").write_bytes((root / "good.flac").read_bytes()[:40000])
    (root / "header.wav").write_bytes((root / "good.wav").read_bytes()[:20])
    soundfile.write(root / "none.wav", np.zeros((0, 2)), 44100, "PCM_16")
    for name, value in (("nan.wav", np.nan), ("inf.wav", np.inf), ("huge.wav", HUGE)):
        samples = good.copy()
        samples[1000, 1] = value
        soundfile.write(root / name, samples, 44100, "DOUBLE" if value == HUGE else "FLOAT")
    soundfile.write(root / "nine.wav", np.zeros((100, 9)), 44100, "PCM_16")
    soundfile.write(root / "slow.wav", np.zeros((100, 1)), 4000, "PCM_16")
    (root / "folder.wav").mkdir()
    return root


BAD_INPUTS = [
    ("missing.wav", 4, b"missing.wav"),
    ("empty.wav", 4, b"empty"),
    ("text.wav", 4, b"text.wav"),
    ("truncated.wav", 4, b"truncated"),
    ("truncated.flac", 4, b"truncated"),
    ("header.wav", 4, b"header.wav"),
    ("none.wav", 4, b"no samples"),
    ("nan.wav", 4, b"0.02"),
    ("inf.wav", 4, b"0.02"),
    ("huge.wav", 4, b"beyond any level, the first at 0.02"),
    ("nine.wav", 4, b"9 channels"),
    ("slow.wav", 4, b"4000 Hz"),
    ("folder.wav", 4, b"folder"),
]


def check(done, code, words):
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert b"hint:" in done.stderr or b"Usage:" in done.stderr
    assert b"Traceback" not in done.stderr
    assert done.stdout == b""


@pytest.mark.parametrize(("name", "code", "words"), BAD_INPUTS)
@pytest.mark.parametrize("command", ["restore", "analyze", "squash"])
def test_bad_files(run, folder, tmp_path, command, name, code, words):
    out = tmp_path / "out.wav"
    arguments = {
        "restore": ("restore", folder / name, out, *KNOWN),
        "squash": ("squash", folder / name, out, *KNOWN),
        "analyze": ("analyze", folder / name),
    }[command]
    check(run(*arguments), code, words)
    assert list(tmp_path.iterdir()) == []


BAD_REQUESTS = [
    (("--profile", "six/Z"), 2, b"six/Z"),
    (("--set", "threshold=-20,ratio=0.5"), 2, b"ratio"),
    (("--set", "threshold=-20,ratio=abc"), 2, b"abc"),
    (("--set", "ratio=4"), 2, b"threshold"),
    (("--set", "loudness=4,threshold=-20,ratio=2"), 2, b"loudness"),
    (("--set", "nonsense"), 2, b"nonsense"),
    (("--strength", "2"), 2, b"strength"),
    (("--strength", "much"), 2, b"strength"),
    (("--method", "magic"), 2, b"magic"),
    (("--method", "model"), 2, b"compressor"),
    (("--method", "neural", "--device", "cuda:7"), 2, b"cuda:7"),
    (("--method", "neural", "--model", "nonsense"), 5, b"nonsense"),
    (("--start", "later"), 2, b"later"),
    (("--start", "2", "--end", "1"), 2, b"start"),
    (("--start", "99"), 2, b"start"),
    (("--preview=inf",), 2, b"inf"),
    (("--preview=-1",), 2, b"-1"),
    (("--preview=0.000001",), 2, b"sample"),
    (("--preview=" + 400 * "9",), 2, b"time"),
    (("--seed", "-1", "--dither", "tpdf"), 2, b"-1"),
    (("--undo", "--apply-gain", "a.gain", "--level", "-20"), 2, b"level"),
    (("--level", "loud"), 2, b"loud"),
    (("--level", "3"), 2, b"3"),
    (("--bit-depth", "12"), 2, b"12"),
    (("--dither", "blue"), 2, b"blue"),
    (("--format", "mp5"), 2, b"mp5"),
    (("--nonsense",), 2, b"nonsense"),
]


@pytest.mark.parametrize(("flags", "code", "words"), BAD_REQUESTS)
def test_bad_requests(run, folder, tmp_path, flags, code, words):
    check(run("restore", folder / "good.wav", tmp_path / "out.wav", *flags), code, words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "code"),
    [("out.xyz", 2), ("out", 2), ("absent/out.wav", 1), (".", 1)],
    ids=["unknown", "none", "folder", "dot"],
)
def test_bad_outputs(run, folder, tmp_path, name, code):
    check(run("restore", folder / "good.wav", tmp_path / name, *KNOWN), code, b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [(("--seed", "-1", "--dither", "tpdf"), b"-1"), (("--link", "foo"), b"foo"), (("--limit", "1e9"), b"")],
)
def test_bad_requests_to_squash(run, folder, tmp_path, flags, words):
    check(run("squash", folder / "good.wav", tmp_path / "out.wav", "--limit", "-1", *flags), 2, words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ends", [("good.wav", "-"), ("-", "out.wav"), ("good.wav", "out")])
def test_squash_promises_nothing_that_it_has_not(run, folder, ends):
    done = run("squash", *ends, "--limit", "-1", cwd=folder)
    check(done, 2, b"")
    assert b"--format" not in done.stderr


@pytest.mark.parametrize("name", ["six.mp3", "six.opus", "six.ogg"])
def test_a_format_that_cannot_hold_the_input(run, tmp_path, name):
    source = tmp_path / "in.wav"
    soundfile.write(source, np.zeros((4410, 6)), {"six.ogg": 384000}.get(name, 44100), "PCM_16")
    check(run("restore", source, tmp_path / name, "--method", "none"), 2, b"cannot hold")
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


def test_a_seed_of_a_pair_is_checked(run, folder, tmp_path):
    pair = ("--ab", tmp_path / "ab", "--blind", "--seed", "-1")
    check(run("compare", folder / "good.wav", folder / "good.flac", *pair), 2, b"-1")
    assert list(tmp_path.iterdir()) == []


def test_too_many_files(run, folder, tmp_path):
    done = run("restore", folder / "good.wav", folder / "good.flac", tmp_path / "out.wav")
    assert done.returncode == 2


def test_no_permission(run, folder, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may read and write everything")
    secret = tmp_path / "secret.wav"
    shutil.copy(folder / "good.wav", secret)
    secret.chmod(0)
    check(run("restore", secret, tmp_path / "out.wav", *KNOWN), 4, b"secret.wav")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    check(run("restore", folder / "good.wav", locked / "out.wav", *KNOWN), 1, b"locked")


def test_a_full_disk_leaves_nothing(run, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        source = tmp_path / "long.wav"
        soundfile.write(source, np.random.default_rng(0).uniform(-0.5, 0.5, (441000, 2)), 44100, "PCM_24")
        for flags in ((), ("--level", "keep", "--bit-depth", "32f"), ("--method", "none")):
            profile = () if "--method" in flags else KNOWN
            check(run("restore", source, small / "out.wav", *profile, *flags), 1, b"space")
            assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def heed_interrupts():
    """Undo what a shell, or nohup, does to the background jobs among which these tests may run."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_interrupt_leaves_nothing(tmp_path, sent):
    source = tmp_path / "long.wav"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (44100 * 120, 2)).astype(np.float32)
    soundfile.write(source, noise, 44100, "FLOAT")
    command = [
        sys.executable,
        "-m",
        "unsquash",
        "restore",
        source,
        tmp_path / "out.wav",
        *KNOWN,
        "--bit-depth",
        "32f",
    ]
    process = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, preexec_fn=heed_interrupts)
    for _ in range(3000):
        if process.poll() is not None or any(".tmp-" in path.name for path in tmp_path.iterdir()):
            break
        time.sleep(0.02)
    process.send_signal(signal.Signals[sent])
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert b"Traceback" not in stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long.wav"]


def test_a_terminal_that_is_closed_interrupts(tmp_path):
    if not hasattr(os, "openpty"):
        pytest.skip("needs a system with pseudo-terminals")
    try:
        outer, inner = os.openpty()
    except OSError as error:
        pytest.skip(f"no pseudo-terminal can be made here: {error}")
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (44100 * 120, 2)).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", noise, 44100, "FLOAT")
    names = (tmp_path / "long.wav", tmp_path / "out.wav", "--log-file", tmp_path / "log")
    process = subprocess.Popen(
        [sys.executable, "-m", "unsquash", "restore", *map(str, names), *KNOWN],
        stdin=subprocess.DEVNULL,
        stdout=inner,
        stderr=inner,
        env={**os.environ, "TERM": "xterm"},
        preexec_fn=heed_interrupts,
    )
    os.close(inner)
    os.read(outer, 1)  # bars are drawn
    os.close(outer)
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=60) == 130
    assert "interrupted" in (tmp_path / "log").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "long.wav"]


@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM"])
def test_an_interrupt_while_a_module_makes_code_ends_with_the_same_exit_code(tmp_path, sent):
    """Python kills itself once more after a KeyboardInterrupt that passed through `exec` of a string."""
    script = tmp_path / "makes_code.py"
    script.write_text(f"""
import sys, typer
from unsquash.cli.exits import exit_codes
try:
    with exit_codes():
        exec("import os, signal, time; os.kill(os.getpid(), signal.{sent}); time.sleep(20)")
except typer.Exit as end:
    sys.exit(end.exit_code)
""")
    command = [sys.executable, "-m", script.stem]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, preexec_fn=heed_interrupts, timeout=60)
    assert done.returncode == 130, done.stderr
