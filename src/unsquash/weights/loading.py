"""From verified bytes to a network ready to run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from unsquash.errors import ModelError, WeightsCorruptError, WeightsUnavailableError
from unsquash.weights.manifest import find_entry
from unsquash.weights.store import obtain
from unsquash.weights.tensors import build, from_bytes

if TYPE_CHECKING:
    from unsquash.nets.delimiter import Delimiter
    from unsquash.nets.gain import GainNet
    from unsquash.nets.profile import ProfileNet
    from unsquash.weights.tensors import AnyNet


def load_net(model: str) -> GainNet | Delimiter:
    """Load a gain network by its name, fetching its weights where they are missing, or from a path.

    Raises:
        UnknownModelError: no such name.
        WeightsUnavailableError: no such file, or it cannot be fetched.
        WeightsCorruptError: the file is damaged or holds something else.
        ModelError: the network estimates something else.
    """
    from unsquash.nets.profile import ProfileNet

    net = _any_net(model)
    if isinstance(net, ProfileNet):
        raise ModelError(f"'{model}' names compressors and estimates no gain", hint="choose a gain network")
    return net


def load_profile_net(model: str) -> ProfileNet:
    """Load a network that tells which compressor was at work.

    Raises:
        ModelError: as `load_net`, and where the network is of another kind.
    """
    from unsquash.nets.profile import ProfileNet

    net = _any_net(model)
    if not isinstance(net, ProfileNet):
        raise ModelError(f"'{model}' cannot name compressors", hint="choose a model of the network 'profile'")
    return net


def _any_net(model: str) -> AnyNet:
    path = _path_of(model)
    data = obtain(find_entry(model)) if path is None else _read(path)
    return _network(data, model)


def _path_of(model: str) -> Path | None:
    """Return where weights lie; None if they are called by a name.

    Raises:
        WeightsCorruptError: they are of a kind that has to be imported first.
    """
    path = Path(model)
    if path.suffix in (".pth", ".pt", ".ckpt", ".bin"):
        raise WeightsCorruptError(
            f"{path} is not a .safetensors file", hint=f"bring it in once with: unsquash models import {path}"
        )
    return path if path.suffix == ".safetensors" else None


def load_gain_net(model: str) -> GainNet:
    """Load a network of the kind that also judges a recording.

    Raises:
        ModelError: as `load_net`, and where the network is of another kind.
    """
    return _gain_net(load_net(model), model)


def read_gain_net(path: Path) -> GainNet:
    """Read a gain network from a safetensors file.

    Raises:
        ModelError: as `load_gain_net`.
    """
    return _gain_net(_network(_read(path), str(path)), str(path))


def digest_of(model: str) -> str:
    """Return the SHA-256 of a model's file, in hexadecimal.

    Raises:
        UnknownModelError: no such name.
        WeightsUnavailableError: no such file.
        WeightsCorruptError: it is of a kind that has to be imported first.
    """
    path = _path_of(model)
    return find_entry(model).sha256 if path is None else hashlib.sha256(_read(path)).hexdigest()


def _network(data: bytes, name: str) -> AnyNet:
    return build(from_bytes(data, name), name)


def _gain_net(net: AnyNet, name: str) -> GainNet:
    from unsquash.nets.gain import GainNet

    if not isinstance(net, GainNet):
        raise ModelError(f"'{name}' cannot judge a recording", hint="choose a model of the network 'gain'")
    return net


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsUnavailableError(
            f"cannot read {path}: {error}", hint="check the path, or give the name of a model"
        ) from error
