"""The De-limiter authors' checkpoints in our terms: their names of tensors and settings to ours.

Source:
    The repository of Music De-limiter Networks (`all.pth`, `all.json`) and the package music-de-limiter 0.1.1
    (`weights.pth`, `args.json`), both MIT.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from unsquash.errors import OptionError, WeightsCorruptError
from unsquash.nets.delimiter import DelimiterConfig

_SIZES = {
    "filters": "n_filters",
    "kernel_samples": "kernel_size",
    "stride_samples": "stride",
    "blocks": "n_blocks",
    "repeats": "n_repeats",
    "bottleneck_channels": "bn_chan",
    "hidden_channels": "hid_chan",
    "skip_channels": "skip_chan",
}
_NAMES = (
    (r"encoder\.filterbank\._filters", "encoder.weight"),
    (r"decoder\.filterbank\._filters", "decoder.weight"),
    (r"masker\.bottleneck\.0\.", "norm."),
    (r"masker\.bottleneck\.1\.", "bottleneck."),
    (r"masker\.mask_net\.0\.weight", "slope"),
    (r"masker\.mask_net\.1\.", "mask."),
    (r"masker\.TCN\.(\d+)\.shared_block\.0\.", r"blocks.\1.expand."),
    (r"masker\.TCN\.(\d+)\.shared_block\.1\.weight", r"blocks.\1.slope_in"),
    (r"masker\.TCN\.(\d+)\.shared_block\.2\.", r"blocks.\1.norm_in."),
    (r"masker\.TCN\.(\d+)\.shared_block\.3\.", r"blocks.\1.depthwise."),
    (r"masker\.TCN\.(\d+)\.shared_block\.4\.weight", r"blocks.\1.slope_out"),
    (r"masker\.TCN\.(\d+)\.shared_block\.5\.", r"blocks.\1.norm_out."),
    (r"masker\.TCN\.(\d+)\.res_conv\.", r"blocks.\1.residual."),
    (r"masker\.TCN\.(\d+)\.skip_conv\.", r"blocks.\1.skip."),
    (r"gamma$", "scale"),
    (r"beta$", "shift"),
)


def published_config(settings: Mapping[str, Any]) -> DelimiterConfig:
    """Read the sizes from the authors' settings file, of either format.

    Raises:
        WeightsCorruptError: this is no such file, or it describes another network.
    """
    try:
        arguments = settings.get("args", settings)  # the authors' files of 2024 keep them one level down
        network = arguments["conv_tasnet_params"]
        kind = (
            arguments["model_loss_params"]["architecture"],
            network["encoder_activation"],
            network["mask_act"],
            network["decoder_activation"],
            network.get("norm_type") or "gLN",
            arguments["data_params"]["nb_channels"],
        )
        sizes = {ours: int(network[theirs]) for ours, theirs in _SIZES.items()}
        config = DelimiterConfig(sample_rate=int(arguments["data_params"]["sample_rate"]), **sizes)
    except (KeyError, TypeError, ValueError, AttributeError, OptionError) as error:
        raise WeightsCorruptError(f"not a De-limiter's settings: {error}") from error
    if kind != ("conv_tasnet_mask_on_output", "relu", "relu", "sigmoid", "gLN", 2):
        raise WeightsCorruptError(
            "the settings describe another network: " + ", ".join(map(str, kind)),
            hint="only the stereo Conv-TasNet with its mask on the output can be imported",
        )
    return config


def published_tensors(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Give the authors' tensors our names."""
    return {_renamed(name): tensor for name, tensor in tensors.items()}


def _renamed(name: str) -> str:
    for pattern, ours in _NAMES:
        name = re.sub(pattern, ours, name)
    return name
