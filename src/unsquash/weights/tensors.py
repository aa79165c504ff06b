"""safetensors files, written the same way everywhere and sealed with their own digest.

The seal is the SHA-256 of the file with the seal's own digits set to zero, kept in its metadata: a sealed
file whose bits have turned is noticed even where no manifest knows it.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from unsquash.errors import WeightsCorruptError

if TYPE_CHECKING:
    import torch

    from unsquash.nets.delimiter import Delimiter
    from unsquash.nets.gain import GainNet
    from unsquash.nets.profile import ProfileNet

    AnyNet: TypeAlias = GainNet | Delimiter | ProfileNet

_BLANK = "0" * 64
_DTYPES = {"float64": "F64", "float32": "F32", "float16": "F16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a file holds.

    Attributes:
        network: which of `unsquash.nets` it fills.
        config_json: that network's sizes.
        tensors: by name.
    """

    network: str
    config_json: str
    tensors: Mapping[str, torch.Tensor]


def to_bytes(stored: Stored) -> bytes:
    """Serialize, sealed; the result depends on nothing but the content."""
    names = sorted(stored.tensors, key=lambda name: (-stored.tensors[name].element_size(), name))
    metadata = {"config": stored.config_json, "network": stored.network, "seal": _BLANK}
    header: dict[str, object] = {"__metadata__": metadata}
    chunks = []
    offset = 0
    for name in names:
        tensor = stored.tensors[name].detach().cpu().contiguous()
        chunks.append(_raw(tensor))
        end = offset + len(chunks[-1])
        dtype = _DTYPES[str(tensor.dtype).removeprefix("torch.")]
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    data = len(text).to_bytes(8, "little") + text + b"".join(chunks)
    return data.replace(_BLANK.encode(), hashlib.sha256(data).hexdigest().encode(), 1)


def from_bytes(data: bytes, name: str) -> Stored:
    """Read what `to_bytes`, or any other writer of safetensors, wrote.

    Args:
        data: the whole file.
        name: what to call it in messages.

    Raises:
        WeightsCorruptError: it is damaged, or something else.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    metadata = read_metadata(data, name)
    if seal := metadata.get("seal"):
        blank = data.replace(seal.encode(), _BLANK.encode(), 1)
        if hashlib.sha256(blank).hexdigest() != seal:
            raise WeightsCorruptError(f"{name} is damaged: its bytes do not match its seal", hint=_HINT)
    try:
        tensors = load(data)
    except (SafetensorError, ValueError, RuntimeError, KeyError, OverflowError, TypeError) as error:
        raise WeightsCorruptError(f"{name} is not a sound safetensors file: {error}", hint=_HINT) from error
    if not all(str(tensor.dtype).removeprefix("torch.") in _DTYPES for tensor in tensors.values()):
        raise WeightsCorruptError(f"{name} holds tensors that are not of 16, 32 or 64 bit floats", hint=_HINT)
    return Stored(
        network=metadata.get("network", "gain"), config_json=metadata.get("config", ""), tensors=tensors
    )


def build(stored: Stored, name: str) -> AnyNet:
    """Make the network that stored tensors fill, ready to run.

    Args:
        stored: what a file holds.
        name: what to call it in messages.

    Raises:
        WeightsCorruptError: its tensors fit no network.
    """
    try:
        return _build(stored)
    except WeightsCorruptError as error:
        raise WeightsCorruptError(f"{name} cannot be used: {error}", hint=error.hint) from error
    except (TypeError, ValueError) as error:  # lists where the network wants numbers, and the like
        raise WeightsCorruptError(f"{name} cannot be used: its sizes fit no network", hint=_HINT) from error


def _build(stored: Stored) -> AnyNet:
    _check_sizes(stored)
    tensors = {name: _single(tensor) for name, tensor in stored.tensors.items()}
    if stored.network == "delimiter":
        from unsquash.nets.delimiter import build_delimiter

        return build_delimiter(stored.config_json, tensors)
    if stored.network == "gain":
        from unsquash.nets.gain import build_gain_net

        return build_gain_net(stored.config_json, tensors)
    if stored.network == "profile":
        from unsquash.nets.profile import build_profile_net

        return build_profile_net(stored.config_json, tensors)
    raise WeightsCorruptError(f"no network is called '{stored.network}'", hint="a newer unsquash may know it")


def _check_sizes(stored: Stored) -> None:
    """Refuse sizes far beyond what is stored, before any memory is set aside for them.

    A layer of n channels has matrices of n² numbers, and every block its own tensors.
    """
    elements = sum(tensor.numel() for tensor in stored.tensors.values())
    try:
        sizes = dict(json.loads(stored.config_json))
        sample_rate = sizes.pop("sample_rate")
        listed = [size if isinstance(size, list) else [size] for size in sizes.values()]
        if any(type(number) is not int for numbers in ([sample_rate], *listed) for number in numbers):
            raise ValueError("its sizes are not whole numbers")
        if any(len(numbers) > len(stored.tensors) or max(numbers) ** 2 > elements for numbers in listed):
            raise ValueError("its sizes are not those of its tensors")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise WeightsCorruptError(f"not a network's configuration: {error}", hint=_HINT) from error


def read_metadata(data: bytes, name: str) -> dict[str, str]:
    """Read the strings in a file's header.

    Raises:
        WeightsCorruptError: there is no such header.
    """
    length = int.from_bytes(data[:8], "little")
    try:
        if not 2 <= length <= len(data) - 8:
            raise ValueError("its header is not where it says")
        metadata = json.loads(data[8 : 8 + length].decode())["__metadata__"]
        if not all(isinstance(text, str) for pair in metadata.items() for text in pair):
            raise ValueError("its metadata are not text")
        return dict(metadata)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"{name} is not a safetensors file of a network: {error}"
        raise WeightsCorruptError(message, hint=_HINT) from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it appears complete or not at all.

    Raises:
        OSError: there is no room, or no permission.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).chmod(0o644)
        Path(partial).replace(path)
    finally:
        Path(partial).unlink(missing_ok=True)


_HINT = "get it again from where it came from"


def _single(tensor: torch.Tensor) -> torch.Tensor:
    """Convert to 32-bit floats; by numpy, because torch would first start its threads."""
    import numpy as np
    import torch

    with np.errstate(over="ignore"):
        numbers = tensor.numpy().astype(np.float32, copy=False)
    if not np.isfinite(numbers).all():
        raise WeightsCorruptError("some of its weights are not finite", hint=_HINT)
    return torch.from_numpy(numbers)


def _raw(tensor: torch.Tensor) -> bytes:
    import torch

    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
