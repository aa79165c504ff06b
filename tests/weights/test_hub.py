"""The real hub client against a hub of our own, through the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest
from tiny_model import COMMIT, Hub, entry_of, know

from unsquash.weights import HubSource

URL = f"/owner/tiny/resolve/{COMMIT}/model.safetensors"


def place(run):
    items = json.loads(run("models", "list", "--json").stdout)["items"]
    return next(item["place"] for item in items if item["name"] == "tiny")


def test_pull_once_then_never_again(hub: Hub, run, machine):
    assert place(run) == "remote"
    pulled = run("models", "pull", "tiny")
    assert pulled.returncode == 0, pulled.stderr
    assert b"tiny: intact" in pulled.stdout
    assert str(machine / "hub").encode() in pulled.stdout
    assert any(URL in asked for asked in hub.asked)
    hub.asked.clear()
    assert place(run) == "cached"
    for command in (("pull", "tiny"), ("path", "tiny"), ("verify", "tiny"), ("pull", "tiny", "--offline")):
        assert run("models", *command).returncode == 0
    assert hub.asked == []


def test_a_slow_hub_is_waited_for(hub: Hub, run):
    hub.mood = "slow"
    assert run("models", "pull", "tiny").returncode == 0


def test_a_line_cut_once_goes_on_where_it_was(hub: Hub, run):
    hub.mood = "once"
    pulled = run("models", "pull", "tiny")
    if pulled.returncode != 0:  # a client that gives up at once starts cleanly the next time
        pulled = run("models", "pull", "tiny")
    assert pulled.returncode == 0, pulled.stderr
    assert sum(URL in asked and asked.startswith("GET") for asked in hub.asked) >= 2


@pytest.mark.slow
def test_a_line_always_cut_fails_and_leaves_no_model(hub: Hub, run):
    hub.mood = "broken"
    pulled = run("models", "pull", "tiny")
    assert pulled.returncode == 5
    assert b"tiny" in pulled.stderr
    assert b"Traceback" not in pulled.stderr
    assert place(run) == "remote"
    hub.mood = "good"
    assert run("models", "pull", "tiny").returncode == 0


def test_other_bytes_are_refused_and_not_kept(hub: Hub, run, machine):
    hub.mood = "wrong"
    pulled = run("models", "pull", "tiny")
    assert pulled.returncode == 5
    assert b"not what the manifest promises" in pulled.stderr
    assert place(run) == "remote"
    assert not [
        path for path in (machine / "hub").rglob("*") if path.is_file() and path.stat().st_size > 1000
    ]
    hub.mood = "good"
    assert run("models", "pull", "tiny").returncode == 0


def test_a_hub_that_has_it_not(hub: Hub, run):
    hub.mood = "missing"
    pulled = run("models", "pull", "tiny")
    assert pulled.returncode == 5
    assert b"'tiny'" in pulled.stderr
    assert b"unsquash models pull tiny" in pulled.stderr
    assert b"Traceback" not in pulled.stderr


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "UNSQUASH_OFFLINE"])
def test_offline_asks_nobody(hub: Hub, run, machine, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    pulled = run("models", "pull", "tiny")
    assert pulled.returncode == 5
    message = pulled.stderr.decode()
    assert "'tiny'" in message
    assert str(machine / "models") in message
    assert "unsquash models pull tiny" in message
    assert "Traceback" not in message
    assert hub.asked == []


def test_a_tampered_file_is_removed_and_fetched_again(hub: Hub, run):
    path = run("models", "pull", "tiny").stdout.decode().split("intact, ")[1].strip()
    with open(path, "r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    verified = run("models", "verify", "tiny")
    assert verified.returncode == 5
    assert b"it was removed" in verified.stderr
    assert path.encode() in verified.stderr
    assert place(run) == "remote"
    assert run("models", "pull", "tiny").returncode == 0


def test_a_proxy_is_used(hub: Hub, run, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    monkeypatch.setenv("HTTP_PROXY", hub.url)
    monkeypatch.setenv("http_proxy", hub.url)
    pulled = run("models", "pull", "tiny")
    assert pulled.returncode == 0, pulled.stderr
    assert any("http://hub.invalid/owner/tiny" in asked for asked in hub.asked)


def test_many_at_once(hub: Hub, run):
    hub.mood = "slow"
    command = [sys.executable, "-m", "unsquash", "models", "pull", "tiny"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert b"tiny: intact" in out
    assert sum(asked.startswith("GET") and URL in asked for asked in hub.asked) == 1
    assert run("models", "verify", "tiny").returncode == 0


def test_killed_in_the_middle(hub: Hub, run):
    hub.mood = "slow"
    command = [sys.executable, "-m", "unsquash", "models", "pull", "tiny"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        if any(asked.startswith("GET") for asked in hub.asked):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    hub.mood = "good"
    assert place(run) == "remote"
    assert run("models", "pull", "tiny").returncode == 0


def test_removing_what_the_hub_gave(hub: Hub, run, machine, tiny_bytes):
    assert run("models", "pull", "tiny").returncode == 0
    removed = run("models", "rm", "tiny")
    assert removed.returncode == 0
    assert b"removed" in removed.stdout
    assert not [
        path for path in (machine / "hub").rglob("*") if path.is_file() and path.stat().st_size > 1000
    ]
    know(machine, entry_of(tiny_bytes, HubSource(repo="owner/tiny", revision=COMMIT)))
    assert place(run) == "remote"
