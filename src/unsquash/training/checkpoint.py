"""Training state on disk as safetensors: the averaged network to ship, and all that is needed to go on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from unsquash.errors import ModelError, WeightsCorruptError, WeightsUnavailableError
from unsquash.nets.gain import GainNet
from unsquash.nets.judge import Judge
from unsquash.nets.profile import ProfileNet
from unsquash.training.commands import write_file
from unsquash.weights.tensors import Stored, build, from_bytes, read_metadata, to_bytes

Remembered = Mapping[nn.Parameter, dict[str, torch.Tensor]]
"""What an optimizer remembers of each parameter, by names of its own."""

Net = TypeVar("Net", GainNet, ProfileNet)

STATE = "state.safetensors"
STEPS = "step"
"""Counted on the CPU, wherever the parameter is."""

_HINT = "Begin anew in another folder, from model.safetensors with --begin-with."


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a training is."""

    step: int = 0
    elapsed_s: float = 0.0
    examples: int = 0


def save_net(net: GainNet | ProfileNet, path: Path) -> None:
    """Write a network, sealed, its matrices as 16-bit floats; the same one gives the same bytes."""
    kind = "gain" if isinstance(net, GainNet) else "profile"
    tensors = {
        name: tensor.detach().cpu().to(torch.float16 if tensor.ndim > 1 else torch.float32).contiguous()
        for name, tensor in net.state_dict().items()
        if tensor.is_floating_point()
    }
    write_file(path, to_bytes(Stored(network=kind, config_json=net.config.to_json(), tensors=tensors)))


def load_net(path: Path) -> GainNet:
    """Read a network, ready to run, whose judge may not have been fitted yet.

    Raises:
        ModelError: There is no such file, or it is damaged, or of another kind or size.
    """
    stored = from_bytes(_read(path), str(path))
    if stored.network == "gain":
        judge = {f"judge.{name}": value for name, value in Judge().state_dict().items()}
        stored = replace(stored, tensors=judge | dict(stored.tensors))
    return _of_kind(GainNet, stored, path)


def load_profile_net(path: Path) -> ProfileNet:
    """Read a profile network, ready to run.

    Raises:
        ModelError: There is no such file, or it is damaged, or of another kind or size.
    """
    return _of_kind(ProfileNet, from_bytes(_read(path), str(path)), path)


def save_state(
    net: nn.Module, average: nn.Module, remembered: Remembered, progress: Progress, path: Path
) -> None:
    """Write everything a resumed training needs; `remembered` is the optimizer's state."""
    tensors = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    for name, parameter in net.named_parameters():
        for key, value in remembered[parameter].items():
            tensors[f"optimizer.{key}.{name}"] = value
    progress_json = json.dumps([progress.step, progress.elapsed_s, progress.examples])
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_file(path, save(plain, metadata={"progress": progress_json}))


def load_state(net: nn.Module, average: nn.Module, remembered: Remembered, path: Path) -> Progress:
    """Read what `save_state` wrote into the given objects.

    Raises:
        ModelError: There is no such file, or it is damaged, or that of another recipe's training.
    """
    data = _read(path)
    progress_json = read_metadata(data, str(path)).get("progress", "")
    try:
        tensors = load(data)
        step, elapsed_s, examples = json.loads(progress_json)
    except (SafetensorError, ValueError, TypeError) as error:
        raise WeightsCorruptError(f"{path} is no state of a training: {error}", hint=_HINT) from error
    try:
        net.load_state_dict(_under(tensors, "net."))
        average.load_state_dict(_under(tensors, "average."))
    except RuntimeError as error:
        raise ModelError(
            f"{path} was left by a training of another network", hint="Give the recipe it began with."
        ) from error
    parameters = dict(net.named_parameters())
    for place, value in _under(tensors, "optimizer.").items():
        key, _, name = place.partition(".")
        parameter = parameters[name]
        remembered[parameter][key] = value if key == STEPS else value.to(parameter.device)
    return Progress(step=step, elapsed_s=elapsed_s, examples=examples)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsUnavailableError(
            f"cannot read {path}: {error.strerror}", hint="Check the path."
        ) from error


def _of_kind(kind: type[Net], stored: Stored, path: Path) -> Net:
    net = build(stored, str(path))
    if not isinstance(net, kind):
        raise ModelError(f"{path} holds a network of the kind '{stored.network}'", hint="Give another file.")
    return net


def _under(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
