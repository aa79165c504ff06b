"""Writing: whole files or none, nothing clipped in silence, dither that does not depend on blocks."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unsquash.audio import OutputFormat, atomic, check_target, copy_file, open_writer
from unsquash.audio.writer import writing_into
from unsquash.errors import OptionError, OutputError, OutputExistsError

CONTAINERS = [
    ("WAV", "PCM_24"),
    ("FLAC", "PCM_24"),
    ("AIFF", "FLOAT"),
    ("OGG", "VORBIS"),
    ("MP3", "MPEG_LAYER_III"),
]


def a_format(container: str = "WAV", subtype: str = "PCM_24", channels: int = 2) -> OutputFormat:
    return OutputFormat(container=container, subtype=subtype, sample_rate=48000, channels=channels)


def noise(frames: int = 10_000, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(5).uniform(-0.5, 0.5, (channels, frames))


def write(
    target: Path, samples: np.ndarray, output: OutputFormat, block: int = 4096, **options: object
) -> None:
    with open_writer(target, output, **options) as writer:  # type: ignore[arg-type]
        for start in range(0, samples.shape[1], block):
            writer.write(samples[:, start : start + block])


# ---------------------------------------------------------------- whole or not at all


@pytest.mark.parametrize(("container", "subtype"), CONTAINERS)
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_nothing(
    tmp_path: Path, container: str, subtype: str, error: type[BaseException]
) -> None:
    def interrupted() -> None:
        with open_writer(tmp_path / "a", a_format(container, subtype)) as writer:
            writer.write(noise())
            assert len(list(tmp_path.iterdir())) == 1
            raise error

    with pytest.raises(error):
        interrupted()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("container", "subtype"), CONTAINERS)
def test_the_name_appears_only_when_all_is_written(tmp_path: Path, container: str, subtype: str) -> None:
    with open_writer(tmp_path / "a", a_format(container, subtype)) as writer:
        writer.write(noise())
        (temporary,) = tmp_path.iterdir()
        assert temporary.name.startswith(f"a.tmp-{os.getpid()}")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert soundfile.info(tmp_path / "a").frames == 10_000


def test_an_existing_file_is_kept_unless_it_may_be_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a.wav"
    target.write_bytes(b"precious")
    with pytest.raises(OutputExistsError, match="exists") as caught:
        write(target, noise(), a_format())
    assert "--overwrite" in caught.value.hint
    with pytest.raises(OutputError, match="clip"):
        write(target, np.full((2, 10_000), 2.0), a_format(), overwrite=True)
    assert target.read_bytes() == b"precious"
    write(target, noise(), a_format(), overwrite=True)
    assert soundfile.info(target).frames == 10_000
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_that_appears_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    if not has_links:
        monkeypatch.setattr(os, "link", no_links)
    target = tmp_path / "a.wav"

    def beaten() -> None:
        with open_writer(target, a_format()) as writer:
            writer.write(noise())
            target.write_bytes(b"precious")

    with pytest.raises(OutputExistsError):
        beaten()
    assert target.read_bytes() == b"precious"
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]
    target.unlink()
    write(target, noise(), a_format())
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


def test_of_two_writers_the_first_wins(tmp_path: Path) -> None:
    target = tmp_path / "a.wav"

    def slow() -> None:
        with open_writer(target, a_format()) as writer:
            writer.write(noise(100))
            write(target, noise(200), a_format())

    with pytest.raises(OutputExistsError):
        slow()
    assert soundfile.info(target).frames == 200


def test_writers_in_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=write, args=(tmp_path / f"{i}.flac", noise(50_000), a_format("FLAC")))
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {soundfile.info(p).frames for p in tmp_path.iterdir()} == {50_000}
    assert len(list(tmp_path.iterdir())) == 4


def test_the_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write(tmp_path / "a.wav", noise(), a_format())
    assert (tmp_path / "a.wav").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_copy(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(os.urandom(3_000_000))
    copy_file(source, target)
    assert target.read_bytes() == source.read_bytes()
    with pytest.raises(OutputExistsError):
        copy_file(source, target)
    target.write_bytes(b"old")
    copy_file(source, target, overwrite=True)
    assert target.read_bytes() == source.read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "name",
    ["日本語 – ünïcödé.wav", "new\nline.wav", "dot.", " ", "x" * 251 + ".wav", "日" * 83 + ".wav", "-rf.wav"],
)
def test_odd_names(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, noise(), a_format())
    assert [p.name for p in tmp_path.iterdir()] == [name]


# ---------------------------------------------------------------- targets that cannot be


def test_impossible_targets(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "file").write_bytes(b"")
    for target, message in (
        (tmp_path / "folder.wav", "is a folder"),
        (tmp_path / "missing" / "a.wav", "does not exist"),
        (tmp_path / "file" / "a.wav", "does not exist|not a directory"),
        (tmp_path / ("x" * 256), "too long"),
    ):
        for attempt in (lambda t: check_target(t, overwrite=True), lambda t: write(t, noise(), a_format())):
            with pytest.raises(OutputError, match=message) as caught:
                attempt(target)
            assert caught.value.hint


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="needs /dev/null")
def test_devices_are_never_replaced() -> None:
    with pytest.raises(OutputError, match="not a regular file"):
        check_target(Path("/dev/null"), overwrite=True)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions work differently here")
def test_no_permission() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        was_root = os.geteuid() == 0
        if was_root:
            os.seteuid(65534)
        try:
            with pytest.raises(OutputError, match="permission") as caught:
                write(folder / "a.wav", noise(), a_format())
        finally:
            if was_root:
                os.seteuid(0)
            folder.chmod(0o700)
        assert caught.value.hint
        assert list(folder.iterdir()) == []


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the system refuse files above `size` bytes."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("container", "subtype"), [*CONTAINERS, ("RF64", "FLOAT"), ("W64", "PCM_16"), ("CAF", "PCM_24")]
)
def test_a_file_that_the_system_refuses_to_let_grow(tmp_path: Path, container: str, subtype: str) -> None:
    with largest_file(10_000), pytest.raises(OutputError, match="cannot be written") as caught:
        write(tmp_path / "a", noise(200_000), a_format(container, subtype))
    assert "another disk" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("container", "subtype"), CONTAINERS)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_device(container: str, subtype: str) -> None:
    with (
        Path("/dev/full").open("r+b", buffering=0) as full,
        pytest.raises(OutputError, match="no space left") as caught,
        writing_into(full, a_format(container, subtype), "the disk", dither=False, seed=0) as writer,
    ):
        writer.write(noise(200_000))
    assert "free some space" in caught.value.hint


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a disk here: needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(tiny_disk: Path) -> None:
    for container, subtype in CONTAINERS:
        target = tiny_disk / "a"
        write(target, noise(1000), a_format(container, subtype))
        before = target.read_bytes()
        with pytest.raises(OutputError, match="no space left") as caught:
            write(target, noise(2_000_000), a_format(container, subtype), overwrite=True)
        assert "free some space" in caught.value.hint
        assert target.read_bytes() == before
        assert [p.name for p in tiny_disk.iterdir()] == ["a"]
        target.unlink()


def test_a_wav_never_outgrows_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unsquash.audio.pcm.MAX_DATA_BYTES", 1000)
    with pytest.raises(OutputError, match="ends at 4 GiB"):
        write(tmp_path / "a.wav", noise(), a_format("WAV"))
    write(tmp_path / "a.rf64", noise(), a_format("RF64"))


# ---------------------------------------------------------------- sample values


@pytest.mark.parametrize("container", ["WAV", "FLAC", "AIFF"])
@pytest.mark.parametrize("value", [1.5, -1.001, 1.0000001])
def test_clipping_is_an_error(tmp_path: Path, container: str, value: float) -> None:
    samples = noise(10_000)
    samples[1, 7200] = value
    with pytest.raises(OutputError, match=r"at 0\.150 s would clip in 24-bit") as caught:
        write(tmp_path / "a", samples, a_format(container))
    assert "--level" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_floats_may_exceed_full_scale(tmp_path: Path) -> None:
    for container in ("WAV", "AIFF", "CAF"):
        write(tmp_path / container, np.full((2, 100), 1.5), a_format(container, "FLOAT"))
        assert (soundfile.read(tmp_path / container)[0] == 1.5).all()


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_an_error(tmp_path: Path, subtype: str, bad: float) -> None:
    samples = noise()
    samples[0, 4800] = bad
    with pytest.raises(OutputError, match=r"no number at 0\.100 s"):
        write(tmp_path / "a", samples, a_format("WAV", subtype))


def test_too_large_for_32_bit_floats(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="32-bit"):
        write(tmp_path / "a", np.full((2, 10), 1e39), a_format("WAV", "FLOAT"))


@pytest.mark.parametrize(("subtype", "depth"), [("PCM_16", 16), ("PCM_24", 24), ("PCM_32", 32)])
def test_full_scale_rounds_to_the_outermost_steps(tmp_path: Path, subtype: str, depth: int) -> None:
    write(tmp_path / "a", np.array([[1.0, -1.0, 0.0]]), a_format("WAV", subtype, channels=1))
    steps = soundfile.read(tmp_path / "a", dtype="int32")[0].astype(np.int64) >> (32 - depth)
    assert steps.tolist() == [2 ** (depth - 1) - 1, -(2 ** (depth - 1)), 0]


def test_rounding_is_to_nearest(tmp_path: Path) -> None:
    step = 1 / 32768
    samples = np.array([[0.4, 0.6, 1.4, -0.4, -0.6, 100.2]]) * step
    write(tmp_path / "a", samples, a_format("WAV", "PCM_16", channels=1))
    assert soundfile.read(tmp_path / "a", dtype="int16")[0].tolist() == [0, 1, 1, 0, -1, 100]


def test_dither_is_triangular_and_of_one_step(tmp_path: Path) -> None:
    """Its mean is the sample, whatever the sample; the error has the power of rounding plus dither."""
    step = 1 / 32768
    samples = np.full((1, 200_000), 0.3 * step)
    write(tmp_path / "a", samples, a_format("WAV", "PCM_16", channels=1), dither=True)
    steps = soundfile.read(tmp_path / "a", dtype="int16")[0].astype(float)
    assert set(np.unique(steps)) == {-1.0, 0.0, 1.0}
    assert np.mean(steps) == pytest.approx(0.3, abs=0.01)
    assert np.var(steps) == pytest.approx(1 / 4, abs=0.01)  # LSB²/12 + LSB²/6, constant under TPDF


def test_dither_depends_on_the_seed_and_not_on_the_blocks(tmp_path: Path) -> None:
    def data(block: int, seed: int) -> bytes:
        write(
            tmp_path / "a", noise(), a_format("WAV", "PCM_16"), block, dither=True, seed=seed, overwrite=True
        )
        return (tmp_path / "a").read_bytes()

    assert data(10_000, 0) == data(1, 0) == data(777, 0)
    assert data(777, 1) != data(777, 0)


def test_dither_does_not_touch_floats(tmp_path: Path) -> None:
    write(tmp_path / "a", noise(), a_format("WAV", "DOUBLE"), dither=True)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "a")[0].T, noise())


def test_blocks_of_a_wrong_shape(tmp_path: Path) -> None:
    for samples in (np.zeros((1, 10)), np.zeros((3, 10)), np.zeros(10)):
        with pytest.raises(OptionError, match="does not fit 2 channels"):
            write_block(tmp_path / "a", samples)


def write_block(target: Path, samples: np.ndarray) -> None:
    with open_writer(target, a_format()) as writer:
        writer.write(samples)


def test_the_folder_is_synced_where_that_is_possible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data first, then the name: a crash in between must not leave an empty file under the name."""
    order: list[str] = []
    fsync, link = os.fsync, os.link
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("fsync"), fsync(fd))[1])
    monkeypatch.setattr(os, "link", lambda a, b: (order.append("link"), link(a, b))[1])
    assert atomic.os is os
    write(tmp_path / "a.wav", noise(), a_format())
    assert order == ["fsync", "link", "fsync"]
