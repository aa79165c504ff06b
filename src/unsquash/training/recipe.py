"""What to train: the recipe file beside a model."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unsquash.errors import OptionError
from unsquash.nets.gain import GainNetConfig


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
        """Check the numbers that would otherwise fail late."""
        if min(self.batch, self.crop_frames, self.pool_examples, self.minutes) <= 0 or self.crop_frames % 4:
            raise OptionError(
                "batch, crop_frames, pool_examples and minutes must be positive, crop_frames a multiple of 4",
                hint="Correct the recipe.",
            )


def load_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        OptionError: It is not TOML, or holds an unknown or missing key.
    """
    try:
        values = tomllib.loads(path.read_text())
        net = GainNetConfig(**tuples(values.pop("net", {})))
        return Recipe(net=net, **tuples(values))
    except (OSError, tomllib.TOMLDecodeError, TypeError) as error:
        raise OptionError(
            f"cannot use the recipe {path}: {error}", hint="See models/*/recipe.toml."
        ) from error


def tuples(values: dict[str, Any]) -> dict[str, Any]:
    """Turn the lists of a table into tuples, as configurations hold them."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
