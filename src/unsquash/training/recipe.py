"""What to train: the recipe file beside a model."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from unsquash.errors import OptionError
from unsquash.nets.gain import GainNetConfig

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides a training but the place of its files."""

    name: str
    licence: str = "MIT"
    seed: int = 1
    minutes: float = 90.0
    """Length of the whole schedule; resumed sittings count together."""
    validation_artists: tuple[str, ...] = ()
    validation_examples: int = 160
    plugin_share: float = 0.06
    batch: int = 12
    crop_frames: int = 1376
    pool_examples: int = 3000
    reuse: float = 6.0
    """How often an example is drawn on average; new ones wait where they come faster."""
    learning_rate: float = 2e-3
    block_learning_rate: float = 6e-3
    """Of Muon, for the convolutions within gated blocks."""
    weight_decay: float = 1e-2
    warmup_steps: int = 100
    ema_decay: float = 0.998
    assessment_weight: float = 0.05
    dropout: float = 0.0
    """Of features and of what is pooled over the file, while training."""
    validate_every: int = 250
    net: GainNetConfig = field(default_factory=GainNetConfig)

    def __post_init__(self) -> None:
        """Check what would otherwise fail late, or not at all."""
        check_recipe(self)
        if self.crop_frames % 4:
            raise OptionError("crop_frames must be a multiple of 4", hint="Correct the recipe.")


def load_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        OptionError: It is not TOML, or holds an unknown, missing or unfit key.
    """
    return read_recipe(path, Recipe, GainNetConfig)


def read_recipe(path: Path, kind: Callable[..., Read], sizes: Callable[..., object]) -> Read:
    """Read a recipe of one kind, whose network has sizes of another.

    Raises:
        OptionError: It is not TOML, or holds an unknown, missing or unfit key.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        net = sizes(**_tuples(values.pop("net", {})))
        return kind(net=net, **_tuples(values))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise OptionError(
            f"cannot use the recipe {path}: {error}", hint="See models/*/recipe.toml."
        ) from error


def check_recipe(recipe: Any) -> None:
    """Check that every value is of its default's kind, and no number negative or, if it is a count, zero.

    Raises:
        OptionError: One is not.
    """
    for place in fields(recipe):
        value, usual = getattr(recipe, place.name), place.default
        if isinstance(usual, tuple):
            sound = isinstance(value, tuple) and all(isinstance(name, str) for name in value)
        elif isinstance(usual, int):
            sound = type(value) is int and value >= (0 if place.name == "seed" else 1)
        elif isinstance(usual, float):
            least = 1e-9 if place.name == "minutes" else 0.0
            sound = type(value) in (int, float) and least <= value < math.inf
        else:
            continue
        if not sound:
            raise OptionError(f"{place.name} cannot be {value!r}", hint="Correct the recipe.")


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    """Turn the lists of a table into tuples, as configurations hold them."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
