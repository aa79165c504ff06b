"""Training state on disk as safetensors: the averaged network to ship, and all that is needed to go on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from unsquash.nets.gain import GainNet, GainNetConfig, build_gain_net
from unsquash.nets.profile import ProfileNet, build_profile_net

Remembered = Mapping[nn.Parameter, dict[str, torch.Tensor]]
"""What an optimizer remembers of each parameter, by names of its own."""

STEPS = "step"
"""Counted on the CPU, wherever the parameter is."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a training is."""

    step: int = 0
    elapsed_s: float = 0.0
    examples: int = 0


def save_net(net: GainNet | ProfileNet, path: Path) -> None:
    """Write a network, its matrices as 16-bit floats, with its sizes as metadata; the file appears whole."""
    kind = "gain" if isinstance(net, GainNet) else "profile"
    tensors = {
        name: tensor.detach().cpu().to(torch.float16 if tensor.ndim > 1 else torch.float32).contiguous()
        for name, tensor in net.state_dict().items()
        if tensor.is_floating_point()
    }
    _save(tensors, path, {"network": kind, "config": net.config.to_json()})


def load_net(path: Path) -> GainNet:
    """Read a network, ready to run, whose judge may not have been fitted yet.

    Raises:
        WeightsCorruptError: The file is of another kind or size.
    """
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        config_json = file.metadata()["config"]
    fresh = GainNet(GainNetConfig.from_json(config_json)).state_dict()
    judge = {name: value for name, value in fresh.items() if name.startswith("judge.")}
    return build_gain_net(config_json, judge | tensors)


def load_profile_net(path: Path) -> ProfileNet:
    """Read a profile network, ready to run.

    Raises:
        WeightsCorruptError: The file is of another kind or size.
    """
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        config_json = file.metadata()["config"]
    return build_profile_net(config_json, tensors)


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
    _save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, path, {"progress": progress_json})


def load_state(net: nn.Module, average: nn.Module, remembered: Remembered, path: Path) -> Progress:
    """Read what `save_state` wrote into the given objects."""
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        step, elapsed_s, examples = json.loads(file.metadata()["progress"])
    net.load_state_dict(_under(tensors, "net."))
    average.load_state_dict(_under(tensors, "average."))
    parameters = dict(net.named_parameters())
    for place, value in _under(tensors, "optimizer.").items():
        key, _, name = place.partition(".")
        parameter = parameters[name]
        remembered[parameter][key] = value if key == STEPS else value.to(parameter.device)
    return Progress(step=step, elapsed_s=elapsed_s, examples=examples)


def _under(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _save(tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str]) -> None:
    partial = path.with_suffix(".part")
    save_file(tensors, partial, metadata=metadata)
    partial.rename(path)
