"""A tiny model's entry, the package that carries it, and a hub that serves it."""

from __future__ import annotations

import dataclasses
import hashlib
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType

from unsquash.nets.delimiter import DelimiterConfig
from unsquash.weights import WeightsEntry
from unsquash.weights.manifest import manifest_text

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONFIG = DelimiterConfig(
    filters=12, kernel_samples=16, stride_samples=8, blocks=3, repeats=2, bottleneck_channels=6,
    hidden_channels=10, skip_channels=5,
)  # fmt: skip
BEHIND = {
    "encoder.": "encoder.filterbank._", "decoder.": "decoder.filterbank._", "norm.": "masker.bottleneck.0.",
    "bottleneck.": "masker.bottleneck.1.", "slope": "masker.mask_net.0.weight", "mask.": "masker.mask_net.1.",
}  # fmt: skip
INSIDE = {
    "expand": "shared_block.0", "slope_in": "shared_block.1.weight", "norm_in": "shared_block.2",
    "depthwise": "shared_block.3", "slope_out": "shared_block.4.weight", "norm_out": "shared_block.5",
    "residual": "res_conv", "skip": "skip_conv",
}  # fmt: skip


def as_published(name: str) -> str:
    """Our name of a tensor to the authors'."""
    if name.startswith("blocks."):
        _, index, part, *rest = name.split(".")
        name = ".".join([f"masker.TCN.{index}.{INSIDE[part]}", *rest])
    else:
        name = next(
            theirs + name.removeprefix(ours) for ours, theirs in BEHIND.items() if name.startswith(ours)
        )
    if "filterbank" in name:
        return name.replace("weight", "filters")
    return name.replace("scale", "gamma").replace("shift", "beta")


def entry_of(data: bytes, source: object, name: str = "tiny") -> WeightsEntry:
    return WeightsEntry(
        name=name,
        task="gain",
        network="delimiter",
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        sample_rate=44100,
        licence="MIT",
        attribution="a test",
        sources=(source,),
        config=MappingProxyType(dataclasses.asdict(CONFIG)),
        local=True,
    )


def know(machine: Path, entry: WeightsEntry) -> WeightsEntry:
    """Add an entry to the machine's own manifest."""
    path = machine / "models" / "manifest" / f"{entry.name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(manifest_text([entry]))
    return entry


def put_wheel(machine: Path, checkpoint: bytes) -> None:
    """Put a package that carries a checkpoint into the registry."""
    with zipfile.ZipFile(machine / "registry" / "tiny_pack-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_pack/weights.pth", checkpoint)
        wheel.writestr("tiny_pack/__init__.py", "raise SystemExit('this was imported')\n")
        info = "tiny_pack-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-pack\nVersion: 1.0\n")
        tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", tags)
        wheel.writestr(f"{info}/RECORD", "")


class Hub(ThreadingHTTPServer):
    """Plays the hub: one file at one commit, well or badly.

    `mood` is good, slow (a pause in the middle), broken (cuts the line in the middle, always), once (cuts it
    the first time), wrong (other bytes of the same length) or missing (404).
    """

    daemon_threads = True

    def __init__(self, data: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.data = data
        self.mood = "good"
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        hub = self.server
        hub.asked.append(f"{self.command} {self.path}")
        if hub.mood == "missing" or f"/owner/tiny/resolve/{COMMIT}/model.safetensors" not in self.path:
            self._head(404, 0, ("X-Error-Code", "EntryNotFound"))
        else:
            self._serve(hub, with_body=with_body)

    def _serve(self, hub: Hub, *, with_body: bool) -> None:
        data = bytes(len(hub.data)) if hub.mood == "wrong" else hub.data
        start = 0
        if (wanted := self.headers.get("Range")) is not None:
            start = int(wanted.removeprefix("bytes=").split("-")[0])
        extra = [("ETag", f'"{hashlib.sha256(data).hexdigest()}"'), ("X-Repo-Commit", COMMIT)]
        if start:
            extra.append(("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}"))
        self._head(206 if start else 200, len(data) - start, *extra)
        if not with_body:
            return
        half = start + (len(data) - start) // 2
        self.wfile.write(data[start:half])
        self.wfile.flush()
        if hub.mood == "slow":
            time.sleep(1.0)
        if hub.mood in ("broken", "once"):
            hub.mood = "good" if hub.mood == "once" else "broken"
            self.close_connection = True
            return
        self.wfile.write(data[half:])

    def _head(self, status: int, length: int, *extra: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (("Content-Length", str(length)), *extra):
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass
