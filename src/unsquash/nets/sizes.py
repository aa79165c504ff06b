"""What all networks share: sizes that are stored with the weights, and weights that must fit them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self, TypeVar

import torch
from torch import nn

from unsquash.errors import OptionError, WeightsCorruptError

_HINT = "The weights belong to another version of unsquash."
Net = TypeVar("Net", bound=nn.Module)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The sizes of a network: positive whole numbers, or tuples of them."""

    sample_rate: int = 44_100

    def __post_init__(self) -> None:
        """Check that every size is positive."""
        flat = [n for size in asdict(self).values() for n in (size if isinstance(size, tuple) else (size,))]
        if min(flat) < 1:
            raise OptionError("network sizes must be positive", hint="Check the [net] table of the recipe.")

    def to_json(self) -> str:
        """Write the sizes as they are stored beside the weights."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            WeightsCorruptError: The text is no such configuration.
        """
        try:
            values = json.loads(text)
            sizes: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
            return cls(**sizes)
        except (TypeError, ValueError, AttributeError) as error:
            raise WeightsCorruptError(f"not a {cls.__name__}: {error}", hint=_HINT) from error


def filled(net: Net, tensors: Mapping[str, torch.Tensor]) -> Net:
    """Give a network its stored tensors (of any float type) and make it ready to run.

    Raises:
        WeightsCorruptError: The tensors do not fit the network.
    """
    counters = {name: value for name, value in net.state_dict().items() if not value.is_floating_point()}
    try:
        net.load_state_dict(counters | dict(tensors), assign=True)
    except RuntimeError as error:
        raise WeightsCorruptError("the tensors do not fit the network", hint=_HINT) from error
    return net.float().eval()
