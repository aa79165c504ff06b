"""Which device a network runs on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from unsquash.errors import DeviceError


def available_devices() -> list[str]:
    """Return the names of the devices that exist here, best first."""
    names = (
        [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    )
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def resolve_device(name: str) -> torch.device:
    """Return the device of a name; `auto` is CUDA where there is any, else the CPU.

    Raises:
        DeviceError: the device was asked for by name and is absent.
    """
    available = available_devices()
    if name == "auto":
        return torch.device(next((known for known in available if known.startswith("cuda")), "cpu"))
    if name in available or (name == "cuda" and "cuda:0" in available):
        return torch.device(name)
    raise DeviceError(f"there is no device '{name}' here", hint="available: " + ", ".join(available))


@contextmanager
def operations_in(count: int) -> Iterator[None]:
    """Let every operation of torch run in at most so many threads; see `unsquash.parallel`."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(before, count))
    try:
        yield
    finally:
        torch.set_num_threads(before)
