"""`unsquash models` and restoring with other weights, as a user sees them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from unsquash.errors import ModelError
from unsquash.options import RestoreOptions
from unsquash.pipeline import analyze_file, restore_file
from unsquash.weights import status
from unsquash.weights.manifest import cached_path

BLOCKED = """
import socket

def refuse(*arguments, **keywords):
    raise RuntimeError("a socket was opened")

socket.socket.connect = refuse
socket.socket.connect_ex = refuse
socket.getaddrinfo = refuse
socket.create_connection = refuse
"""


@pytest.fixture
def no_sockets(machine, monkeypatch):
    """Every Python process started from here fails as soon as it wants a connection."""
    folder = machine / "blocked"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(BLOCKED)
    monkeypatch.setenv("PYTHONPATH", str(folder))


@pytest.fixture
def loud(machine):
    """Two seconds of a clipped chord, at a rate the network does not hear."""
    time = np.arange(2 * 48_000) / 48_000
    samples = np.clip(3.0 * np.sin(2 * np.pi * 220 * time) * np.exp(-3 * (time % 0.5)), -0.9, 0.9)
    path = machine / "loud.wav"
    soundfile.write(path, np.stack([samples, 0.8 * samples], axis=1), 48_000, "FLOAT")
    return path


def test_list_names_places(in_wheel, call):
    document = json.loads(call("models", "list", "--json").stdout)
    by_name = {item["name"]: item for item in document["items"]}
    assert document["schema"] == 1
    assert by_name["gain-small"]["place"] == "packaged"
    assert by_name["tiny"]["place"] == "remote"
    assert by_name["tiny"]["path"] is None
    assert by_name["tiny"]["sources"][0]["kind"] == "wheel"
    call("models", "pull", "tiny")
    listed = call("models", "list").stdout.decode()
    assert [line.split()[-1] for line in listed.splitlines() if line.startswith("tiny")] == ["cached"]
    assert "MIT" in listed


def test_info_says_what_the_manifest_says(in_wheel, call):
    shown = json.loads(call("models", "info", "tiny", "--json").stdout)
    assert shown["sha256"] == in_wheel.sha256
    assert shown["config"]["filters"] == 12
    assert shown["card"] is None
    text = call("models", "info", "tiny").stdout.decode()
    assert in_wheel.attribution in text
    assert "tiny-pack" in text


def test_path_and_rm(in_wheel, call):
    missing = call("models", "path", "tiny")
    assert missing.returncode == 5
    assert b"unsquash models pull tiny" in missing.stderr
    call("models", "pull", "tiny")
    assert call("models", "path", "tiny").stdout.decode().strip() == str(cached_path(in_wheel))
    assert call("models", "rm", "tiny").returncode == 0
    assert not cached_path(in_wheel).exists()


def test_what_is_packaged_stays(machine, call):
    removed = call("models", "rm", "gain-small")
    assert removed.returncode == 5
    assert b"part of unsquash" in removed.stderr


def test_unknown_names(machine, call):
    for command in ("pull", "path", "rm", "info", "verify"):
        done = call("models", command, "nonsense")
        assert done.returncode == 5
        assert b"gain-small" in done.stderr


def test_verify_reports_all_and_fails_for_one(in_wheel, call):
    call("models", "pull", "tiny")
    cached_path(in_wheel).write_bytes(b"x" * in_wheel.bytes)
    verified = call("models", "verify")
    assert verified.returncode == 5
    assert b"gain-small: intact" in verified.stdout
    assert str(cached_path(in_wheel)).encode() in verified.stderr


def test_import_then_list_and_name(machine, call, tiny_bytes):
    (machine / "net.safetensors").write_bytes(tiny_bytes)
    assert call("models", "import", machine / "net.safetensors", "--name", "mine").returncode == 0
    assert b"mine" in call("models", "list").stdout
    assert call("models", "import", machine / "net.safetensors", "--name", "gain-small").returncode == 5
    assert call("models", "import", machine / "absent.safetensors").returncode == 4


def test_another_folder_by_flag(in_wheel, call, machine):
    folder = machine / "elsewhere"
    assert call("models", "list", "--model-dir", folder).returncode == 0
    (folder / "manifest").mkdir(parents=True)
    (machine / "models" / "manifest" / "tiny.toml").rename(folder / "manifest" / "tiny.toml")
    pulled = call("models", "pull", "tiny", "--model-dir", folder)
    assert pulled.returncode == 0
    assert str(folder).encode() in pulled.stdout


@pytest.mark.slow
def test_restore_fetches_once_then_needs_no_connection(in_wheel, run, machine, loud, no_sockets, monkeypatch):
    arguments = ("restore", loud, machine / "out.wav", "--method", "neural", "--model", "tiny")
    monkeypatch.delenv("PYTHONPATH")
    refused = run(*arguments, "--offline")
    assert refused.returncode == 5
    for said in ("'tiny'", str(cached_path(in_wheel)), "unsquash models pull tiny"):
        assert said in refused.stderr.decode()
    assert not (machine / "out.wav").exists()
    assert run("models", "pull", "tiny").returncode == 0
    monkeypatch.setenv("PYTHONPATH", str(machine / "blocked"))
    restored = run(*arguments, "--offline")
    assert restored.returncode == 0, restored.stderr
    before, rate = soundfile.read(loud)
    after, after_rate = soundfile.read(machine / "out.wav")
    assert (after.shape, after_rate) == (before.shape, rate)
    assert not np.array_equal(before, after)


def test_the_block_on_sockets_works(no_sockets, run, hub):
    assert run("models", "pull", "tiny").returncode != 0
    assert hub.asked == []


def test_a_dry_run_fetches_nothing(in_wheel, call, machine, loud):
    planned = call("restore", loud, machine / "out.wav", "--method", "neural", "--model", "tiny", "--dry-run")
    assert planned.returncode == 5
    assert b"unsquash models pull tiny" in planned.stderr
    assert status(in_wheel).place == "remote"


@pytest.mark.slow
def test_the_default_needs_no_connection(no_sockets, run, machine, loud):
    restored = run("restore", loud, machine / "out.wav", "--method", "neural", "--offline")
    assert restored.returncode == 0, restored.stderr


def test_a_path_to_weights(machine, loud, tiny_bytes):
    (machine / "net.safetensors").write_bytes(tiny_bytes)
    options = RestoreOptions(method="neural", model=str(machine / "net.safetensors"))
    assert restore_file(loud, machine / "out.wav", options).status == "restored"
    (machine / "net.pth").write_bytes(b"x")
    with pytest.raises(ModelError) as caught:
        restore_file(loud, machine / "o.wav", replace(options, model=str(machine / "net.pth")))
    assert "models import" in caught.value.hint


def test_auto_lets_the_default_judge(in_wheel, loud):
    options = RestoreOptions(model="tiny")
    assert analyze_file(loud, options).diagnosis.dynamics is not None
    asked_for = analyze_file(loud, replace(options, method="neural"))
    assert asked_for.diagnosis.dynamics is None
    assert asked_for.plan.method == "neural"


def test_doctor_does_not_fetch(hub, run):
    done = run("doctor", "--json")
    assert done.returncode == 0
    assert hub.asked == []
    assert "not on this machine" in json.loads(done.stdout)["models"]["tiny"]
