"""Record what the original package computes, into tests/nets/data.

Run it in an environment of its own that has music-de-limiter 0.1.1 with its dependencies; no test imports it.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from delimiter_input import clipped_beat
from music_de_limiter import load_model_with_args, load_pretrained_model

TINY = {
    "n_filters": 12,
    "kernel_size": 16,
    "stride": 8,
    "n_blocks": 3,
    "bn_chan": 6,
    "hid_chan": 10,
    "skip_chan": 5,
}
DATA = Path(__file__).parent / "data"


def gain_of(net: torch.nn.Module, samples: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return net.eval()(torch.from_numpy(samples)[None])[0][0, 0].numpy()


published, _ = load_pretrained_model("cpu")
gain = gain_of(published, clipped_beat(seed=1, samples=3 * 44100))
np.savez_compressed(
    DATA / "delimiter_published.npz", first=gain[:4096], middle=gain[60000:68192], last=gain[-4096:]
)

package = resources.files("music_de_limiter")
arguments = json.loads((package / "pretrained" / "args.json").read_text())
arguments["conv_tasnet_params"].update(TINY)
torch.manual_seed(7)
tiny, _ = load_model_with_args(arguments)
with torch.no_grad():
    for parameter in tiny.parameters():
        parameter.copy_(torch.randn_like(parameter) * 0.4)
gain = gain_of(tiny, clipped_beat(seed=2, samples=1003))
np.savez_compressed(
    DATA / "delimiter_tiny.npz",
    gain=gain,
    **{name: value.numpy() for name, value in tiny.state_dict().items()},
)
