"""Damaged and lying files: refused, or exactly what was stored; never a crash, never other weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save

from unsquash.errors import ModelError, WeightsCorruptError
from unsquash.nets.gain import GainNet, GainNetConfig
from unsquash.weights import load_net
from unsquash.weights.importing import convert_checkpoint
from unsquash.weights.tensors import Stored, build, from_bytes, to_bytes

GIANT = 2**62


def load(path, data: bytes):
    """Load a file that has these bytes; None where it is refused."""
    path.write_bytes(data)
    try:
        return load_net(str(path))
    except ModelError as error:
        named = str(path) in str(error)
    return None if named else pytest.fail("the file is not named")


def is_the_same(net: torch.nn.Module, stored: Stored) -> bool:
    return all(torch.equal(tensor, stored.tensors[name]) for name, tensor in net.state_dict().items())


def rewritten(data: bytes, change) -> bytes:
    """Change a file's header as JSON, without its seal."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    del header["__metadata__"]["seal"]
    text = change(header)
    text = (json.dumps(header) if text is None else text).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def test_whole_files_load(tmp_path, tiny, tiny_bytes):
    net = load(tmp_path / "a.safetensors", tiny_bytes)
    assert net is not None
    assert is_the_same(net, tiny)
    unsealed = load(tmp_path / "b.safetensors", rewritten(tiny_bytes, lambda header: None))
    assert unsealed is not None
    assert is_the_same(unsealed, tiny)


def test_writing_is_repeatable_and_as_others_read_it(tiny, tiny_bytes):
    backwards = Stored(
        network=tiny.network, config_json=tiny.config_json, tensors=dict(reversed(list(tiny.tensors.items())))
    )
    assert to_bytes(backwards) == tiny_bytes
    assert to_bytes(from_bytes(tiny_bytes, "tiny")) == tiny_bytes


def test_turned_bits(tmp_path, tiny, tiny_bytes):
    random = np.random.default_rng(5)
    header = 8 + int.from_bytes(tiny_bytes[:8], "little")
    refused = 0
    places = np.concatenate(
        [random.integers(0, header, 150), random.integers(header, len(tiny_bytes), 100), range(8)]
    )
    for place in places:
        data = bytearray(tiny_bytes)
        data[place] ^= 1 << int(random.integers(8))
        net = load(tmp_path / "a.safetensors", bytes(data))
        refused += net is None
        assert net is None or is_the_same(net, tiny), place
    assert refused > 200


def test_torn_files(tmp_path, tiny_bytes):
    for length in [*range(40), *range(40, len(tiny_bytes), len(tiny_bytes) // 50)]:
        assert load(tmp_path / "a.safetensors", tiny_bytes[:length]) is None
    assert load(tmp_path / "a.safetensors", tiny_bytes + b"\0") is None


@pytest.mark.parametrize("length", [0, 1, 7, 10**6, 2**31, 2**63, 2**64 - 1])
def test_a_header_that_lies_about_its_length(tmp_path, tiny_bytes, length):
    assert load(tmp_path / "a.safetensors", length.to_bytes(8, "little") + tiny_bytes[8:]) is None


def first(header):
    return header["blocks.0.expand.weight"]


LIES = {
    "shape too large": lambda h: first(h).update(shape=[GIANT, GIANT]),
    "shape turned": lambda h: first(h).update(shape=first(h)["shape"][::-1]),
    "shape negative": lambda h: first(h).update(shape=[-1, -6, 1]),
    "shape of text": lambda h: first(h).update(shape="many"),
    "type wider": lambda h: first(h).update(dtype="F64"),
    "type of whole numbers": lambda h: first(h).update(dtype="I32"),
    "type unknown": lambda h: first(h).update(dtype="Q7"),
    "offsets beyond": lambda h: first(h).update(data_offsets=[0, GIANT]),
    "offsets backwards": lambda h: first(h).update(data_offsets=first(h)["data_offsets"][::-1]),
    "offsets shared": lambda h: first(h).update(data_offsets=h["blocks.1.expand.weight"]["data_offsets"]),
    "name missing": lambda h: h.pop("slope") and None,
    "name too many": lambda h: h.update(extra=dict(first(h))),
    "no metadata": lambda h: h.pop("__metadata__") and None,
    "metadata not text": lambda h: h["__metadata__"].update(config=3),
    "network unknown": lambda h: h["__metadata__"].update(network="oracle"),
    "network another": lambda h: h["__metadata__"].update(network="gain"),
    "no sizes": lambda h: h["__metadata__"].update(config="{}"),
    "sizes no object": lambda h: h["__metadata__"].update(config="[3]"),
    "sizes gigantic": lambda h: h["__metadata__"].update(
        config=h["__metadata__"]["config"].replace('"hidden_channels": 10', f'"hidden_channels": {10**12}')
    ),
    "blocks without end": lambda h: h["__metadata__"].update(
        config=h["__metadata__"]["config"].replace('"blocks": 3', '"blocks": 40')
    ),
    "sizes deep": lambda h: h["__metadata__"].update(config="[" * 100_000),
    "not JSON": lambda h: "{" * 400,
    "deep JSON": lambda h: "[" * 100_000,
    "not UTF-8": lambda h: "\ud800".encode("utf-16", "surrogatepass").decode("latin-1"),
    "empty": lambda h: "{}",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_header_that_lies(tmp_path, tiny_bytes, lie):
    assert load(tmp_path / "a.safetensors", rewritten(tiny_bytes, LIES[lie])) is None


@pytest.mark.parametrize("size", [40.0, float("nan"), float("inf"), True, None, "10", [10], [], {}])
@pytest.mark.parametrize("name", ["sample_rate", "blocks", "hidden_channels"])
def test_sizes_that_are_no_whole_numbers(tmp_path, tiny_bytes, name, size):
    def change(header):
        sizes = json.loads(header["__metadata__"]["config"])
        header["__metadata__"]["config"] = json.dumps({**sizes, name: size})

    assert load(tmp_path / "a.safetensors", rewritten(tiny_bytes, change)) is None


@pytest.mark.parametrize("dilations", [3, [1, 2.0], [True], [[1]]])
def test_lists_of_sizes_that_are_no_lists_of_whole_numbers(dilations):
    config = json.loads(GainNetConfig().to_json())
    config["fine_dilations_after"] = dilations
    tensors = GainNet(GainNetConfig()).state_dict()
    stored = Stored(network="gain", config_json=json.dumps(config), tensors=tensors)
    with pytest.raises(WeightsCorruptError, match="crafted"):
        build(stored, "crafted")


def test_a_checkpoint_for_which_a_manifest_promises_no_whole_numbers(tiny, checkpoint):
    with pytest.raises(WeightsCorruptError, match="crafted"):
        convert_checkpoint(checkpoint, {**json.loads(tiny.config_json), "blocks": 3.0}, "crafted")


def test_foreign_files(tmp_path):
    assert load(tmp_path / "a.safetensors", save({"a": torch.zeros(3)})) is None
    assert load(tmp_path / "a.safetensors", save({"a": torch.zeros(3)}, metadata={"config": "{}"})) is None
    assert load(tmp_path / "a.safetensors", b"") is None
    assert load(tmp_path / "a.safetensors", b"not a network") is None


def test_half_precision_is_widened(tiny):
    halves = {name: tensor.half() for name, tensor in tiny.tensors.items()}
    stored = Stored(network="delimiter", config_json=tiny.config_json, tensors=halves)
    net = build(from_bytes(to_bytes(stored), "halves"), "halves")
    assert all(parameter.dtype == torch.float32 for parameter in net.parameters())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_weights_that_are_no_numbers(tmp_path, tiny, value):
    tensors = {name: tensor.double() for name, tensor in tiny.tensors.items()}
    tensors["blocks.0.expand.weight"][0, 0] = value
    stored = Stored(network=tiny.network, config_json=tiny.config_json, tensors=tensors)
    assert load(tmp_path / "a.safetensors", to_bytes(stored)) is None
